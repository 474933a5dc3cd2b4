//! The beginning and the end of an orchestrator.

use std::collections::BTreeMap;
use std::sync::Arc;

use llcm_names::DcName;
use llcm_runtime::{Backend, EngineId, EngineInfo};
use llcm_topology::Topology;

use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::installation::{hold, installation_id};
use crate::parts::Parts;
use crate::plan::HostFacts;
use crate::store::file::{self, FileStore};
use crate::store::writer::Writer;
use crate::store::{Store, StoreError};
use crate::timed::{self, Late};
use crate::{engines, ground, onboard, recovery, requests, strays, terminate, watching};

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
    let report = parts.backend.network().prepare(&parts.topology).await?;
    report.not_emulated.iter().for_each(|property| log::warn!("not emulated on this host: {property}"));

    let (state, unusable) = recovery::load(contents);
    let mut facts = facts(&infos);
    facts.missing_limits = missing_limits(&infos, &parts.backend, &parts.topology);
    facts.without_management = without_management(&parts.backend, &parts.topology);
    let mut core = Core::new(parts, installation, facts, Writer::start(store), state, late);
    core.not_emulated = report.not_emulated;
    let core = Arc::new(core);
    recovery::recover(&core, unusable).await?;
    // Laid to see what the host can do, and for what runs still; where nothing does, the host is left as it was.
    ground::leave_if_unused(&core).await;
    strays::begin(&core);
    watching::begin(&core);
    Ok(core)
}

/// What the engines have together: they are on one host.
fn facts(infos: &[(EngineId, EngineInfo)]) -> HostFacts {
    // What is taken is asked again for each plan.
    let mut facts = HostFacts::default();
    for (_, info) in infos {
        facts.cpus.extend(&info.cpus);
        for network in &info.networks {
            match network.parse() {
                Ok(network) => facts.engine_networks.push(network),
                Err(error) => {
                    log::warn!("{} reports a network {network:?} that is none: {error}", info.name);
                }
            }
        }
    }
    facts
}

/// The limits that cannot be set, by data center: engines differ in them.
fn missing_limits(
    infos: &[(EngineId, EngineInfo)],
    backend: &Backend,
    topology: &Topology,
) -> BTreeMap<DcName, BTreeMap<String, String>> {
    let datacenters = topology.datacenters.iter().filter_map(|datacenter| {
        let engine = backend.engine_of(&datacenter.name);
        let (_, info) = infos.iter().find(|(id, _)| *id == engine)?;
        Some((datacenter.name.clone(), info.missing_limits.clone()))
    });
    datacenters.filter(|(_, missing)| !missing.is_empty()).collect()
}

/// The data centers whose containers have no interface of the engine's that could be given a name, with the engine.
fn without_management(backend: &Backend, topology: &Topology) -> BTreeMap<DcName, String> {
    let can = backend.network().management().is_some();
    let offers = topology.datacenters.iter().map(|dc| (&dc.name, backend.containers_of(&dc.name).offers()));
    let without = offers.filter(|(_, offers)| !(can && offers.management));
    without.map(|(name, offers)| (name.clone(), offers.engine.to_string())).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_on_one_host() {
        let info = |name: &str, cpus: &[u32], networks: &[&str]| {
            let info = EngineInfo {
                name: name.to_owned(),
                cpus: cpus.to_vec(),
                networks: networks.iter().map(|&network| network.to_owned()).collect(),
                ..EngineInfo::default()
            };
            (EngineId::new(name), info)
        };
        let facts = facts(&[
            info("one", &[0, 1], &["172.17.0.0/16"]),
            info("silent", &[], &["no network"]),
            info("other", &[1, 2], &["10.88.0.0/16"]),
        ]);
        assert_eq!(facts.cpus.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
        let networks: Vec<_> = facts.engine_networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["172.17.0.0/16", "10.88.0.0/16"]);
    }
}
