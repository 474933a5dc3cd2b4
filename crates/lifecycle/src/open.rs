//! The beginning and the end of an orchestrator.

use std::sync::Arc;

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::installation::{hold, installation_id};
use crate::parts::Parts;
use crate::store::file::{self, FileStore};
use crate::store::writer::Writer;
use crate::store::{Change, Store, StoreError};
use crate::timed::{self, Late};
use crate::{engines, facts, ground, onboard, recovery, requests, strays, terminate, topology, watching};

/// The store in a data directory, made where there never was one; the directory is this process's as long as it is open.
pub(crate) async fn file_store(parts: &Parts) -> Result<Arc<dyn Store>, LifecycleError> {
    let (ids, data_dir) = (Arc::clone(&parts.ids), parts.data_dir.clone());
    blocking(move || {
        installation_id(&data_dir, &*ids)?;
        let held = hold(&data_dir)?;
        let path = data_dir.join(file::FILE);
        let length = std::fs::metadata(&path).map_or(0, |found| found.len());
        if length == 0 && onboard::packages(&data_dir).exists() {
            return Err(StoreError::Missing { path: path.display().to_string() }.into());
        }
        let store: Arc<dyn Store> = Arc::new(FileStore::open(&path)?.holding(held));
        Ok(store)
    })
    .await
}

/// Loads what is stored, prepares the network, and recovers.
pub(crate) async fn open(parts: Parts, store: Arc<dyn Store>) -> Result<Arc<Core>, LifecycleError> {
    let (ids, data_dir) = (Arc::clone(&parts.ids), parts.data_dir.clone());
    let reader = Arc::clone(&store);
    let (installation, contents) = blocking(move || {
        let installation = installation_id(&data_dir, &*ids)?;
        let contents = reader.load_all()?;
        onboard::sweep(&data_dir, &contents.services)?;
        Ok((installation, contents))
    })
    .await?;

    let late = Arc::new(Late::default());
    let backend = timed::backend(parts.backend, parts.settings.deadlines, &late);
    let parts = Parts { backend, ..parts };
    let infos = engines::info(&parts.backend).await.complete()?;
    for (_, info) in &infos {
        info.warnings.iter().for_each(|warning| log::warn!("{}: {warning}", info.name));
    }
    let (topology, forgotten) = topology::at_start(&parts.topology, contents.topology.as_ref());
    let (state, unusable) = recovery::load(contents);
    // The host has to be untouched until then: what is not in the topology is removed from it.
    topology::checks::check_start(&state, &topology)?;
    let report = parts.backend.network().prepare(&topology).await?;
    report.not_emulated.iter().for_each(|lacking| log::warn!("not emulated on this host: {lacking}"));

    let (known, topology) = (facts::Known::new(infos), topology::Current::new(topology));
    let core = Arc::new(Core::new(parts, installation, known, topology, Writer::start(store), state, late));
    if let Some(changes) = forgotten {
        core.writer.write(vec![Change::PutTopology(None)]).await?;
        topology::tell_forgotten(&changes);
    }
    recovery::recover(&core, unusable).await?;
    // Laid to see what the host can do, and for what runs still; where nothing does, the host is left as it was.
    ground::leave_if_unused(&core).await;
    if let Err(error) = ground::accept(&core, report.not_emulated) {
        // What runs already goes on as it is; without anything, nothing stays behind.
        let idle = none_left(&core);
        if let Err(further) = shutdown(&core, idle).await {
            return Err(LifecycleError { others: [error.others, vec![further.message]].concat(), ..error });
        }
        return Err(error);
    }
    strays::begin(&core);
    watching::begin(&core);
    Ok(core)
}

/// Refuses new work, waits for what is going on, closes the store. Whoever asks for it again gets what came of
/// it the first time.
pub(crate) async fn shutdown(core: &Arc<Core>, stop_instances: bool) -> Result<(), LifecycleError> {
    core.closing.cancel();
    let mut ended = core.ended.lock().await;
    match ended.as_ref() {
        None => {
            let outcome = end(core, stop_instances).await;
            *ended = Some(outcome.clone());
            outcome
        }
        Some(Ok(())) if stop_instances && !none_left(core) => Err(LifecycleError::new(
            ErrorCode::ShuttingDown,
            "the store is closed already, and instances run on: start again to terminate them",
        )),
        Some(outcome) => outcome.clone(),
    }
}

fn none_left(core: &Core) -> bool {
    core.state().instances.values().all(|instance| !instance.state().is_live())
}

async fn end(core: &Arc<Core>, stop_instances: bool) -> Result<(), LifecycleError> {
    // Whoever was planning when the server began to close has been waited for.
    let limit = core.parts.settings.drain;
    // What takes longer is waited for with the rest, below.
    drop(tokio::time::timeout(limit, core.allocation.lock()).await);
    let mut errors = Vec::new();
    if stop_instances {
        errors = terminate_all(core).await;
    }
    if !core.finish_tasks(limit).await {
        // Without the store no further step is begun; the records say how far it came.
        core.writer.close().await;
        let message = format!(
            "what was going on has not finished within {limit:?} (setting drain_limit): the next start goes on with it"
        );
        return Err(LifecycleError { others: errors, ..LifecycleError::new(ErrorCode::Stuck, message) });
    }
    core.let_go.cancel();
    let instances: Vec<_> = core.state().instances.values().cloned().collect();
    for instance in instances {
        instance.scripts.close();
        instance.scripts.wait().await;
    }
    if none_left(core) {
        errors.extend(ground::clear(core).await.iter().map(ToString::to_string));
    }
    core.writer.close().await;
    if errors.is_empty() {
        return Ok(());
    }
    let message = format!("not everything was taken down: {}", errors.join("; "));
    Err(LifecycleError { others: errors, ..LifecycleError::new(ErrorCode::Stuck, message) })
}

/// Terminates all instances, and returns what went wrong.
pub(crate) async fn terminate_all(core: &Arc<Core>) -> Vec<String> {
    let mut errors = Vec::new();
    let mut waiting = Vec::new();
    for view in core.instance_views(false) {
        match terminate::begin(Arc::clone(core), view.id).await {
            Ok(request) => waiting.extend(core.state().requests.watch(request.id)),
            // Another request was faster.
            Err(error) if error.code == ErrorCode::InstanceNotFound => {}
            Err(error) => errors.push(error.message),
        }
    }
    for watch in waiting {
        if let Err(error) = requests::wait(watch).await {
            errors.push(error.message);
        }
    }
    errors
}

/// Runs what blocks on a thread where that does no harm.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LifecycleError> + Send + 'static,
) -> Result<T, LifecycleError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        LifecycleError::from(StoreError::Io {
            operation: "use",
            path: String::new(),
            reason: format!("a thread ended abnormally: {error}"),
        })
    })?
}
