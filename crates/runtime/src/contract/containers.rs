//! Cases on containers alone.

use std::collections::BTreeMap;
use std::time::Duration;

use llcm_names::{Port, Protocol};
use tokio::time::Instant;

use super::bed::{Bed, eventually, refused};
use super::report::{Checked, Stop, ensure, ensure_eq};
use super::seconds;
use crate::{ContainerSpec, ContainerState, ErrorKind, PortBinding, PullPolicy};

const GRACE: Duration = seconds(1);

pub(super) async fn the_engine_tells_about_itself(bed: &mut Bed<'_>) -> Checked {
    let info = bed.containers().info().await?;
    ensure!(!info.name.is_empty() && !info.version.is_empty(), "the engine has no name or version: {info:?}");
    let mut cpus = info.cpus.clone();
    cpus.sort_unstable();
    cpus.dedup();
    ensure_eq!(info.cpus, cpus, "the CPUs, in order and once each");
    for network in &info.networks {
        let parsed: Result<ipnetwork::IpNetwork, _> = network.parse();
        ensure!(parsed.is_ok(), "{network} is no address range in CIDR form");
    }
    Ok(())
}

pub(super) async fn an_image_is_fetched_once_and_stays(bed: &mut Bed<'_>) -> Checked {
    let image = &bed.host().image;
    let first = bed.containers().ensure_image(image, PullPolicy::IfMissing, &()).await?;
    ensure!(!first.id.is_empty(), "the image has no id");
    for policy in [PullPolicy::IfMissing, PullPolicy::Never] {
        let again = bed.containers().ensure_image(image, policy, &()).await?;
        ensure_eq!(again, first, "the image at the second time, policy {policy:?}");
    }
    Ok(())
}

pub(super) async fn a_missing_image_is_an_error(bed: &mut Bed<'_>) -> Checked {
    let missing = &bed.host().missing_image;
    let never = bed.containers().ensure_image(missing, PullPolicy::Never, &()).await;
    refused(never, ErrorKind::NotFound, "a missing image, never to be fetched")?;
    match bed.containers().ensure_image(missing, PullPolicy::IfMissing, &()).await {
        // Without a way to the registry nobody can say that it has no such image.
        Err(error)
            if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Unavailable | ErrorKind::Denied) => {}
        other => return Err(Stop::Failed(format!("fetching a missing image gives {other:?}"))),
    }
    let blanks = bed.containers().ensure_image("not an image", PullPolicy::IfMissing, &()).await;
    refused(blanks, ErrorKind::Invalid, "a reference with blanks")
}

/// Asking makes nothing, and what runs was not refused.
pub(super) async fn asking_whether_it_can_run_makes_nothing(bed: &mut Bed<'_>) -> Checked {
    bed.fetch().await?;
    let spec = bed.container("a");
    bed.containers().check(&spec).await?;
    ensure!(bed.containers().inspect(&spec.name).await?.is_none(), "check has made the container");
    bed.run(&spec).await?;
    bed.containers().check(&spec).await?;
    Ok(())
}

pub(super) async fn create_needs_the_image(bed: &mut Bed<'_>) -> Checked {
    let spec = ContainerSpec { image: bed.host().missing_image.clone(), ..bed.container("a") };
    refused(bed.containers().create(&spec).await, ErrorKind::NotFound, "create without the image")?;
    ensure!(
        bed.containers().inspect(&spec.name).await?.is_none(),
        "a container is left of the failed create"
    );
    Ok(())
}

pub(super) async fn create_and_start_may_be_repeated(bed: &mut Bed<'_>) -> Checked {
    let spec = bed.container("a");
    bed.fetch().await?;
    let first = bed.containers().create(&spec).await?;
    ensure_eq!(bed.containers().create(&spec).await?, first, "create, repeated");
    let point = bed.containers().start(&spec.owner, &spec.name).await?;
    ensure_eq!(bed.containers().start(&spec.owner, &spec.name).await?, point, "start, repeated");
    bed.containers().create(&spec).await?;
    let all = bed.containers().list_owned(&spec.owner.installation).await?;
    ensure_eq!(all.len(), 1, "containers after all that");
    ensure_eq!(all[0].state, ContainerState::Running, "the state after all that");
    Ok(())
}

pub(super) async fn another_spec_of_the_same_name_conflicts(bed: &mut Bed<'_>) -> Checked {
    let spec = bed.container("a");
    bed.fetch().await?;
    bed.containers().create(&spec).await?;
    let changed = BTreeMap::from([("VNF_NAME".to_owned(), "b".to_owned())]);
    for (what, changed) in [
        ("environment", ContainerSpec { environment: changed, ..spec.clone() }),
        ("memory", ContainerSpec { memory_bytes: Some(64 << 20), ..spec.clone() }),
        ("data center", ContainerSpec { datacenter: bed.far(), ..spec.clone() }),
        ("instance", ContainerSpec { owner: bed.other.clone(), ..spec.clone() }),
        ("installation", ContainerSpec { owner: bed.stranger.clone(), ..spec.clone() }),
    ] {
        let result = bed.containers().create(&changed).await;
        refused(result, ErrorKind::Conflict, &format!("create of the same name with another {what}"))?;
    }
    bed.containers().create(&spec).await?;
    Ok(())
}

pub(super) async fn another_owner_may_not_touch_it(bed: &mut Bed<'_>) -> Checked {
    let spec = bed.container("a");
    bed.run(&spec).await?;
    for other in [&bed.other, &bed.stranger] {
        refused(
            bed.containers().start(other, &spec.name).await,
            ErrorKind::Conflict,
            "start by another owner",
        )?;
        let stop = bed.containers().stop(other, &spec.name, GRACE).await;
        refused(stop, ErrorKind::Conflict, "stop by another owner")?;
        refused(
            bed.containers().remove(other, &spec.name).await,
            ErrorKind::Conflict,
            "remove by another owner",
        )?;
    }
    let view = bed.containers().inspect(&spec.name).await?;
    ensure_eq!(view.map(|view| view.state), Some(ContainerState::Running), "the state after all that");
    Ok(())
}

pub(super) async fn what_is_absent_can_be_stopped_and_removed(bed: &mut Bed<'_>) -> Checked {
    let spec = bed.container("a");
    bed.containers().stop(&spec.owner, &spec.name, GRACE).await?;
    bed.containers().remove(&spec.owner, &spec.name).await?;
    bed.run(&spec).await?;
    for _ in 0..2 {
        bed.containers().stop(&spec.owner, &spec.name, GRACE).await?;
    }
    for _ in 0..2 {
        bed.containers().remove(&spec.owner, &spec.name).await?;
    }
    ensure!(bed.containers().inspect(&spec.name).await?.is_none(), "the container is there after remove");
    Ok(())
}

pub(super) async fn what_is_absent_cannot_be_started(bed: &mut Bed<'_>) -> Checked {
    let started = bed.containers().start(&bed.owner, &bed.name("a")).await;
    refused(started, ErrorKind::NotFound, "start of a container that does not exist")
}

pub(super) async fn states_are_told_as_they_are(bed: &mut Bed<'_>) -> Checked {
    let spec = bed.container("a");
    ensure!(bed.containers().inspect(&spec.name).await?.is_none(), "a container is there before create");
    bed.fetch().await?;
    bed.containers().create(&spec).await?;
    let view =
        bed.containers().inspect(&spec.name).await?.ok_or("nothing to inspect after create".to_owned())?;
    ensure_eq!(view.state, ContainerState::Created, "the state after create");
    let point = bed.containers().start(&spec.owner, &spec.name).await?;
    let view =
        bed.containers().inspect(&spec.name).await?.ok_or("nothing to inspect after start".to_owned())?;
    ensure_eq!(view.state, ContainerState::Running, "the state after start");
    ensure_eq!(view.attach, Some(point), "the attach point after start");
    ensure_eq!(view.owner, Some(spec.owner.clone()), "the owner");
    ensure_eq!(view.datacenter, Some(spec.datacenter.clone()), "the data center");
    ensure_eq!(view.image, spec.image, "the image");
    bed.containers().stop(&spec.owner, &spec.name, GRACE).await?;
    let view =
        bed.containers().inspect(&spec.name).await?.ok_or("nothing to inspect after stop".to_owned())?;
    ensure!(matches!(view.state, ContainerState::Exited { .. }), "the state after stop is {:?}", view.state);
    ensure_eq!(view.attach, None, "the attach point after stop");
    Ok(())
}

pub(super) async fn list_owned_tells_all_after_a_restart(bed: &mut Bed<'_>) -> Checked {
    let stranger = bed.stranger_drivers().await?;
    let foreign = ContainerSpec { owner: bed.stranger.clone(), ..bed.container("d") };
    stranger.containers.ensure_image(&foreign.image, PullPolicy::IfMissing, &()).await?;
    stranger.containers.create(&foreign).await?;
    drop(stranger);
    // Not in the order of the names.
    let running = bed.container("c");
    bed.run(&running).await?;
    let created = ContainerSpec { owner: bed.other.clone(), ..bed.container("a") };
    bed.containers().create(&created).await?;
    let stopped = bed.container("b");
    bed.run(&stopped).await?;
    bed.containers().stop(&stopped.owner, &stopped.name, GRACE).await?;

    bed.restart().await?;
    let views = bed.containers().list_owned(&bed.owner.installation).await?;
    let seen: Vec<_> = views.iter().map(|view| (&view.name, view.owner.as_ref())).collect();
    let expected: Vec<_> =
        [&created, &stopped, &running].iter().map(|spec| (&spec.name, Some(&spec.owner))).collect();
    ensure_eq!(seen, expected, "the containers of this installation");
    ensure_eq!(views[0].state, ContainerState::Created, "the state of the one never started");
    ensure!(
        matches!(views[1].state, ContainerState::Exited { .. }),
        "the stopped one is {:?}",
        views[1].state
    );
    ensure_eq!(views[2].state, ContainerState::Running, "the state of the running one");
    ensure_eq!(views[2].datacenter, Some(running.datacenter.clone()), "the data center");
    for view in &views {
        let inspected = bed.containers().inspect(&view.name).await?;
        ensure_eq!(inspected.as_ref(), Some(view), "what inspect tells");
    }
    Ok(())
}

pub(super) async fn foreign_containers_are_left_alone(bed: &mut Bed<'_>) -> Checked {
    let spec = bed.container("a");
    bed.fetch().await?;
    let cannot = || Stop::NotSeen("the probe cannot make containers".to_owned());
    bed.probe().make_foreign(&spec.name).await.ok_or_else(cannot)?;
    let checked = leave_alone(bed, &spec).await;
    let lives = bed.probe().remove_foreign(&spec.name).await;
    checked?;
    ensure_eq!(lives, Some(true), "the foreign container still runs");
    Ok(())
}

async fn leave_alone(bed: &Bed<'_>, spec: &ContainerSpec) -> Checked {
    let containers = bed.containers();
    refused(containers.create(spec).await, ErrorKind::Conflict, "create of a foreign container's name")?;
    refused(
        containers.start(&spec.owner, &spec.name).await,
        ErrorKind::Conflict,
        "start of a foreign container",
    )?;
    let stop = containers.stop(&spec.owner, &spec.name, GRACE).await;
    refused(stop, ErrorKind::Conflict, "stop of a foreign container")?;
    refused(
        containers.remove(&spec.owner, &spec.name).await,
        ErrorKind::Conflict,
        "remove of a foreign container",
    )?;
    let owned = containers.list_owned(&spec.owner.installation).await?;
    ensure!(owned.is_empty(), "a foreign container is listed: {owned:?}");
    let view = containers.inspect(&spec.name).await?.ok_or("inspect does not see it".to_owned())?;
    ensure_eq!(view.owner, None, "its owner");
    Ok(())
}

/// How long a container stays away whose creation was given up, until it is called gone: the engine may still be at it.
const STAYS_AWAY: Duration = Duration::from_secs(2);

pub(super) async fn an_abandoned_create_can_be_removed(bed: &mut Bed<'_>) -> Checked {
    bed.fetch().await?;
    let containers = bed.containers();
    let mut specs = Vec::new();
    for micros in [0, 200, 2_000, 20_000] {
        let spec = bed.container(&format!("a{micros}"));
        // Whether it gets done in that time or not, all that may be left is what `remove` removes.
        let _ = tokio::time::timeout(Duration::from_micros(micros), containers.create(&spec)).await;
        specs.push(spec);
    }
    let (start, mut seen) = (Instant::now(), Instant::now());
    while seen.elapsed() < STAYS_AWAY {
        ensure!(start.elapsed() < seconds(30), "containers whose creation was given up come again and again");
        for spec in &specs {
            containers.remove(&spec.owner, &spec.name).await?;
        }
        tokio::time::sleep(STAYS_AWAY / 10).await;
        for spec in &specs {
            if containers.inspect(&spec.name).await?.is_some() {
                seen = Instant::now();
            }
        }
    }
    Ok(())
}

pub(super) async fn the_environment_arrives(bed: &mut Bed<'_>) -> Checked {
    let mut spec = bed.container("a");
    for (key, value) in [("PLAIN", "1"), ("EMPTY", ""), ("ODD", "a=b 'c' \"d\" $HOME ä")] {
        spec.environment.insert(key.to_owned(), value.to_owned());
    }
    bed.run(&spec).await?;
    let cannot = || Stop::NotSeen("the probe cannot see environments".to_owned());
    let seen = bed.probe().environment(&spec.name).await.ok_or_else(cannot)?;
    for (key, value) in &spec.environment {
        ensure_eq!(seen.get(key), Some(value), "variable {key}");
    }
    Ok(())
}

pub(super) async fn limits_arrive(bed: &mut Bed<'_>) -> Checked {
    let cpu = bed.host().cpu.clone();
    let spec = ContainerSpec { cpu, memory_bytes: Some(64 << 20), ..bed.container("a") };
    bed.run(&spec).await?;
    let cannot = || Stop::NotSeen("the probe cannot see limits".to_owned());
    let seen = bed.probe().limits(&spec.name).await.ok_or_else(cannot)?;
    ensure_eq!(seen.cpu, spec.cpu, "CPU limits");
    ensure_eq!(seen.memory_bytes, spec.memory_bytes, "the memory limit");
    Ok(())
}

fn publishing(bed: &Bed<'_>, short: &str, host: Port) -> ContainerSpec {
    let container = super::port(8080);
    let binding = PortBinding { container, protocol: Protocol::Tcp, host, host_ip: None };
    ContainerSpec { published: vec![binding], ..bed.container(short) }
}

pub(super) async fn a_port_in_use_conflicts(bed: &mut Bed<'_>) -> Checked {
    let [port, free] = bed.host().free_ports;
    bed.run(&publishing(bed, "a", port)).await?;
    let second = publishing(bed, "b", port);
    bed.containers().create(&second).await?;
    let started = bed.containers().start(&second.owner, &second.name).await;
    refused(started, ErrorKind::Conflict, "start with a host port in use")?;
    bed.run(&publishing(bed, "c", free)).await?;
    // As soon as the port is given back, the second one starts.
    bed.containers().remove(&bed.owner, &bed.name("a")).await?;
    bed.containers().start(&second.owner, &second.name).await?;
    Ok(())
}

pub(super) async fn a_published_port_is_answered_by_the_container(bed: &mut Bed<'_>) -> Checked {
    let [port, _] = bed.host().free_ports;
    let cannot = || Stop::NotSeen("the probe cannot connect to ports".to_owned());
    ensure_eq!(bed.probe().connects(port).await.ok_or_else(cannot)?, false, "an answer before the container");
    let spec = publishing(bed, "a", port);
    bed.run(&spec).await?;
    bed.probe().listen(&spec.name, super::port(8080)).await.ok_or_else(cannot)?;
    eventually("an answer at the published port", || async {
        Ok(bed.probe().connects(port).await == Some(true))
    })
    .await?;
    bed.containers().remove(&spec.owner, &spec.name).await?;
    ensure_eq!(bed.probe().connects(port).await, Some(false), "an answer after the container");
    Ok(())
}
