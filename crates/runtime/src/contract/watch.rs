//! Cases on watching containers, and on telling one run from the next.

use llcm_names::EngineName;

use super::bed::{Bed, Vnf, eventually};
use super::report::{Checked, Stop, ensure, ensure_eq};
use super::seconds;
use crate::{ContainerChange, ContainerEvent, ContainerSpec, ContainerState, ContainerWatch};

/// A watch that has begun; not seen where the driver has none.
async fn begin(bed: &Bed<'_>) -> Result<Box<dyn ContainerWatch>, Stop> {
    let watch = bed.containers().watch(&bed.owner.installation);
    let mut watch = watch.ok_or_else(|| Stop::NotSeen("the driver has no watch".to_owned()))?;
    let first = tokio::time::timeout(seconds(30), watch.next()).await;
    let first = first.map_err(|_| "a watch does not begin within thirty seconds".to_owned())?;
    ensure_eq!(first, Some(ContainerEvent::Resync), "the first event of a watch");
    Ok(watch)
}

/// The next event about a container that is like this; everything before it is about the suite's own.
async fn told(
    watch: &mut dyn ContainerWatch,
    spec: &ContainerSpec,
    what: &str,
    is_it: impl Fn(ContainerChange) -> bool + Send,
) -> Checked {
    let waiting = async {
        while let Some(event) = watch.next().await {
            let ContainerEvent::Changed { owner, container, what } = event else { continue };
            ensure_eq!(
                owner.installation.clone(),
                spec.owner.installation.clone(),
                "whose events the watch tells"
            );
            if container == spec.name && is_it(what) {
                ensure_eq!(owner, spec.owner.clone(), "whose container it is");
                return Ok(());
            }
        }
        Err(Stop::Failed("the watch is over".to_owned()))
    };
    let waited = tokio::time::timeout(seconds(30), waiting).await;
    waited.unwrap_or_else(|_| Err(Stop::Failed(format!("{what}: not told within thirty seconds"))))
}

fn cannot(what: &str) -> Stop {
    Stop::NotSeen(format!("the probe cannot {what}"))
}

async fn state(bed: &Bed<'_>, name: &EngineName) -> Result<Option<ContainerState>, Stop> {
    Ok(bed.containers().inspect(name).await?.map(|view| view.state))
}

async fn vnf(bed: &Bed<'_>) -> Result<Vnf, Stop> {
    bed.vnf("a", bed.near()).await
}

pub(super) async fn an_end_is_told(bed: &mut Bed<'_>) -> Checked {
    let a = vnf(bed).await?;
    let mut watch = begin(bed).await?;
    bed.containers().stop(&a.spec.owner, &a.spec.name, seconds(1)).await?;
    let ended = |what| matches!(what, ContainerChange::Ended { .. });
    told(&mut *watch, &a.spec, "the end of a container", ended).await
}

/// A stop by the driver would be no surprise: its process is killed by somebody else.
pub(super) async fn a_process_that_is_killed_is_told(bed: &mut Bed<'_>) -> Checked {
    let a = vnf(bed).await?;
    let mut watch = begin(bed).await?;
    bed.probe().kill(&a.spec.name).await.ok_or_else(|| cannot("kill processes"))?;
    let ended = |what| matches!(what, ContainerChange::Ended { .. });
    told(&mut *watch, &a.spec, "the end of a killed process", ended).await?;
    let now = state(bed, &a.spec.name).await?;
    ensure!(matches!(now, Some(ContainerState::Exited { .. })), "told as ended, it is {now:?}");
    Ok(())
}

pub(super) async fn a_restart_behind_its_back_is_told(bed: &mut Bed<'_>) -> Checked {
    let a = vnf(bed).await?;
    let mut watch = begin(bed).await?;
    bed.probe().restart(&a.spec.name).await.ok_or_else(|| cannot("restart containers"))?;
    let started = |what| matches!(what, ContainerChange::Started);
    told(&mut *watch, &a.spec, "the start of a container", started).await?;
    let view = bed.containers().inspect(&a.spec.name).await?.ok_or("it is gone".to_owned())?;
    ensure_eq!(view.state, ContainerState::Running, "the state of a restarted one");
    ensure!(
        view.attach.and_then(|point| point.run) != a.point.run,
        "the new run cannot be told from the old"
    );
    Ok(())
}

pub(super) async fn pauses_are_told(bed: &mut Bed<'_>) -> Checked {
    let a = vnf(bed).await?;
    let mut watch = begin(bed).await?;
    bed.probe().pause(&a.spec.name, true).await.ok_or_else(|| cannot("pause containers"))?;
    told(&mut *watch, &a.spec, "a pause", |what| what == ContainerChange::Paused).await?;
    ensure_eq!(state(bed, &a.spec.name).await?, Some(ContainerState::Paused), "the state while paused");
    bed.probe().pause(&a.spec.name, false).await.ok_or_else(|| cannot("go on"))?;
    told(&mut *watch, &a.spec, "the end of a pause", |what| what == ContainerChange::Unpaused).await?;
    let view = bed.containers().inspect(&a.spec.name).await?.ok_or("it is gone".to_owned())?;
    ensure_eq!(view.state, ContainerState::Running, "the state afterwards");
    ensure_eq!(
        view.attach.and_then(|point| point.run),
        a.point.run.clone(),
        "its run, which is the same one"
    );
    Ok(())
}

pub(super) async fn a_removal_behind_its_back_is_told(bed: &mut Bed<'_>) -> Checked {
    let a = vnf(bed).await?;
    let mut watch = begin(bed).await?;
    bed.probe().remove(&a.spec.name).await.ok_or_else(|| cannot("remove containers"))?;
    told(&mut *watch, &a.spec, "a removal", |what| what == ContainerChange::Removed).await?;
    ensure_eq!(state(bed, &a.spec.name).await?, None, "the state of a removed one");
    Ok(())
}

/// Of three that end, the watch tells the one that is its installation's.
pub(super) async fn others_are_not_told(bed: &mut Bed<'_>) -> Checked {
    let a = vnf(bed).await?;
    let strangers = bed.stranger_drivers().await?;
    let spec = ContainerSpec { owner: bed.stranger.clone(), ..bed.container("s") };
    strangers.containers.create(&spec).await?;
    strangers.containers.start(&spec.owner, &spec.name).await?;
    let mut watch = begin(bed).await?;
    strangers.containers.stop(&spec.owner, &spec.name, seconds(1)).await?;
    strangers.containers.remove(&spec.owner, &spec.name).await?;
    bed.containers().stop(&a.spec.owner, &a.spec.name, seconds(1)).await?;
    let ended = |what| matches!(what, ContainerChange::Ended { .. });
    told(&mut *watch, &a.spec, "the end of our own", ended).await
}

pub(super) async fn each_run_has_a_word_of_its_own(bed: &mut Bed<'_>) -> Checked {
    let a = vnf(bed).await?;
    let first = a.point.run.clone();
    ensure!(first.is_some(), "start does not tell which run it is");
    let again = bed.containers().start(&a.spec.owner, &a.spec.name).await?;
    ensure_eq!(again.run, first, "the run after a start of what runs");
    bed.restart().await?;
    let run = |view: Option<crate::ContainerView>| view.and_then(|it| it.attach).and_then(|point| point.run);
    ensure_eq!(run(bed.containers().inspect(&a.spec.name).await?), first, "the run after a restart of ours");
    let listed = bed.containers().list_owned(&bed.owner.installation).await?;
    ensure_eq!(run(listed.into_iter().next()), first, "the run in the list");
    bed.containers().stop(&a.spec.owner, &a.spec.name, seconds(1)).await?;
    let gone = || async { Ok(run(bed.containers().inspect(&a.spec.name).await?).is_none()) };
    eventually("a stopped container has no run", gone).await?;
    let second = bed.containers().start(&a.spec.owner, &a.spec.name).await?;
    ensure!(second.run.is_some() && second.run != first, "the second run is {:?}, as the first", second.run);
    Ok(())
}
