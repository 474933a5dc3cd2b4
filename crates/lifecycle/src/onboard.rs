//! On-boarding: a package file becomes a service, or nothing.
//!
//! - **Expected flow**: unpack into the staging directory, load the descriptors, compare the hashes, plan on
//!   trial, fetch or build the images, reserve subnets, move the directory into place, record.
//! - **Guarantees.** A failure at any point leaves no directory, no record and no reservation. (Images that
//!   were fetched stay: the engine's store is a cache.) What a killed server leaves is swept at the next start.
//! - **Errors** carry all findings about the package, warnings included.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use llcm_descriptors::{Descriptors, Diagnostic, Severity};
use llcm_names::{FunctionId, InstanceId, ServiceId, Ssiid};
use llcm_topology::{Capacity, Topology};

use crate::catalog::ServiceRecord;
use crate::clock::Timestamp;
use crate::core::Core;
use crate::error::{ErrorCode, LifecycleError};
use crate::instantiate::{Against, cannot_plan, plan_against};
use crate::open::blocking;
use crate::plan::{self, NO_PATH, PlanState};
use crate::request::{FunctionView, InstantiateOptions, ServiceView, Upload};
use crate::settings::Dialect;
use crate::store::Change;
use crate::{admission, facts, images};

mod read;

fn staging(data_dir: &Path) -> PathBuf {
    data_dir.join("staging")
}

/// The directory with the services' files. It is made when there is a store.
pub(crate) fn packages(data_dir: &Path) -> PathBuf {
    data_dir.join("packages")
}

/// The files of a service's package.
pub(crate) fn package_dir(core: &Core, service: ServiceId) -> PathBuf {
    packages(&core.parts.data_dir).join(service.to_string())
}

fn failed(verb: &str, path: &Path, error: &std::io::Error) -> LifecycleError {
    LifecycleError::disk(verb, path, error)
}

/// A new empty file in the staging directory.
pub(crate) fn staging_file(core: &Core) -> Result<tempfile::NamedTempFile, LifecycleError> {
    core.check_open()?;
    admission::check_room(core, 0)?;
    let dir = staging(&core.parts.data_dir);
    tempfile::Builder::new()
        .prefix("upload-")
        .tempfile_in(&dir)
        .map_err(|error| failed("create a file in", &dir, &error))
}

/// Empties the staging directory and removes packages without a record: what a killed server left.
pub(crate) fn sweep(
    data_dir: &Path,
    services: &BTreeMap<ServiceId, ServiceRecord>,
) -> Result<(), LifecycleError> {
    let staging = staging(data_dir);
    match std::fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("empty", &staging, &error));
        }
        _ => {}
    }
    let packages = packages(data_dir);
    for dir in [&staging, &packages] {
        std::fs::create_dir_all(dir).map_err(|error| failed("create", dir, &error))?;
    }
    let entries = std::fs::read_dir(&packages).map_err(|error| failed("list", &packages, &error))?;
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", &packages, &error))?;
        let id = entry.file_name().to_str().and_then(|name| name.parse::<ServiceId>().ok());
        // A name that is no id is nothing of ours.
        if id.is_some_and(|id| !services.contains_key(&id)) {
            let path = entry.path();
            std::fs::remove_dir_all(&path).map_err(|error| failed("remove", &path, &error))?;
        }
    }
    Ok(())
}

/// Makes a service of an upload.
pub(crate) async fn onboard(
    core: Arc<Core>,
    upload: Upload,
    dialect: Dialect,
) -> Result<ServiceView, LifecycleError> {
    let id = ServiceId::new(core.parts.ids.uuid());
    let (sha1, size) = (upload.sha1.clone(), upload.size);
    let package = {
        let core = Arc::clone(&core);
        blocking(move || read::read(&core, upload, dialect)).await?
    };
    let descriptors = package.descriptors;
    let mut service = ServiceRecord {
        view: ServiceView {
            id,
            dialect,
            package: descriptors.package.clone(),
            sha1,
            size,
            nsd: descriptors.nsd.id.clone(),
            functions: functions(&core, &descriptors),
            created_at: Timestamp::default(),
            warnings: package.warnings,
            instances: Vec::new(),
        },
        descriptors,
        reserved: plan::Reserved::default(),
        images: BTreeMap::new(),
        engine_images: BTreeMap::new(),
    };
    service = {
        let core = Arc::clone(&core);
        blocking(move || plan_on_trial(&core, service)).await?
    };
    let needs = plan::images(&service.descriptors, core.settings(dialect))
        .map_err(|findings| invalid(with_warnings(findings, &service)))?;
    let found = images::ensure(&core, &service, &needs, package.unpacked.path()).await?;
    service.images = found.images;
    service.engine_images = found.engine_images;
    service.view.warnings.extend(found.warnings);
    publish(&core, service, package.unpacked).await
}

fn functions(core: &Core, descriptors: &Descriptors) -> Vec<FunctionView> {
    let mut functions: Vec<FunctionView> = Vec::new();
    for function in &descriptors.nsd.functions {
        let Some(vnfd) = descriptors.vnfds.get(&function.vnf_name) else { continue };
        match functions.iter_mut().find(|known| known.vnfd == vnfd.id) {
            Some(known) => known.vnf_ids.push(function.vnf_id.clone()),
            None => functions.push(FunctionView {
                id: FunctionId::new(core.parts.ids.uuid()),
                vnfd: vnfd.id.clone(),
                vnf_ids: vec![function.vnf_id.clone()],
                created_at: Timestamp::default(),
            }),
        }
    }
    functions
}

/// Plans a first instance as if nothing else lived, and as if there were room and links for it: what cannot be planned now
/// never can. Its warnings become the service's.
fn plan_on_trial(core: &Core, mut service: ServiceRecord) -> Result<ServiceRecord, LifecycleError> {
    let settings = core.settings(service.view.dialect);
    let empty = PlanState::default();
    service.reserved = plan::reserve(&service.descriptors, settings, service.view.dialect, &empty.subnets)
        .map_err(|findings| cannot_plan(with_warnings(findings, &service)))?;
    let instance = InstanceId::new(core.parts.ids.uuid());
    let mut facts = facts::known(core);
    if facts.without_management.len() < core.topology.get().datacenters.len() {
        // Another instance's units may be placed where there is what this one's lack.
        facts.without_management.clear();
    }
    // Whether there is room is asked when there is to be an instance: with another placement, or when data centers have
    // become larger, there may be. So it is with data centers that lack nothing.
    let mut topology = Topology::clone(&core.topology.get());
    topology.datacenters.iter_mut().for_each(|dc| dc.capacity = Capacity::default());
    let options = InstantiateOptions::default();
    let against = Against { state: &empty, facts: &facts, topology: &topology, options: &options };
    let findings = match plan_against(core, &service, against, instance, Ssiid::default()) {
        Ok(plan) => plan.warnings,
        Err(error) => error.diagnostics,
    };
    // So it is with data centers that do not reach one another: another placement may keep the units together, and links
    // may be added.
    let findings: Vec<_> = findings.into_iter().map(gaps_are_warnings).collect();
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(invalid(with_warnings(findings, &service)));
    }
    for warning in findings {
        if !service.view.warnings.contains(&warning) {
            service.view.warnings.push(warning);
        }
    }
    Ok(service)
}

fn gaps_are_warnings(mut finding: Diagnostic) -> Diagnostic {
    if finding.code == NO_PATH {
        finding.severity = Severity::Warning;
    }
    finding
}

fn with_warnings(mut findings: Vec<Diagnostic>, service: &ServiceRecord) -> Vec<Diagnostic> {
    let known = service.view.warnings.iter().filter(|warning| !findings.contains(warning));
    let known: Vec<_> = known.cloned().collect();
    findings.extend(known);
    findings
}

/// The error of findings about a package: all of them, and the first in words.
fn invalid(diagnostics: Vec<Diagnostic>) -> LifecycleError {
    let mut errors = diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
    let first = errors.next().map_or_else(|| "no reason given".to_owned(), ToString::to_string);
    let message = match errors.count() {
        0 => format!("the package cannot be on-boarded: {first}"),
        1 => format!("the package cannot be on-boarded: {first}; and 1 more error"),
        more => format!("the package cannot be on-boarded: {first}; and {more} more errors"),
    };
    LifecycleError { code: ErrorCode::InvalidPackage, message, diagnostics, others: Vec::new() }
}

/// Reserves the service's subnets, moves its directory into place and records it.
async fn publish(
    core: &Arc<Core>,
    mut service: ServiceRecord,
    unpacked: llcm_packaging::Unpacked,
) -> Result<ServiceView, LifecycleError> {
    let _allocation = core.allocation.lock().await;
    core.check_open()?;
    let taken = core.plan_state().subnets;
    service.reserved = plan::reserve(
        &service.descriptors,
        core.settings(service.view.dialect),
        service.view.dialect,
        &taken,
    )
    .map_err(|findings| cannot_plan(with_warnings(findings, &service)))?;
    let now = core.stamp();
    service.view.created_at = now;
    service.view.functions.iter_mut().for_each(|function| function.created_at = now);

    let dir = package_dir(core, service.view.id);
    let target = dir.clone();
    blocking(move || read::commit(unpacked, &target)).await?;
    if let Err(error) = core.writer.write(vec![Change::PutService(Box::new(service.clone()))]).await {
        let removed =
            blocking(move || std::fs::remove_dir_all(&dir).map_err(|error| failed("remove", &dir, &error)));
        let others = removed.await.err().map(|error| error.message);
        return Err(LifecycleError { others: others.into_iter().collect(), ..error });
    }
    let service = Arc::new(service);
    core.state().services.insert(service.view.id, Arc::clone(&service));
    Ok(core.service_view(&service))
}

/// Forgets a service without instances.
pub(crate) async fn remove(core: Arc<Core>, id: ServiceId) -> Result<(), LifecycleError> {
    let _allocation = core.allocation.lock().await;
    let service = core.state().services.get(&id).cloned().ok_or_else(|| {
        LifecycleError::new(ErrorCode::ServiceNotFound, format!("there is no service {id}"))
    })?;
    let (live, gone): (Vec<_>, Vec<_>) = {
        let state = core.state();
        let instances = state.instances.values().filter(|instance| instance.service_id() == id);
        instances
            .map(|instance| instance.id)
            .partition(|id| state.instances.get(id).is_some_and(|instance| instance.state().is_live()))
    };
    if !live.is_empty() {
        let live: Vec<_> = live.iter().map(ToString::to_string).collect();
        return Err(LifecycleError::new(
            ErrorCode::ServiceInUse,
            match live.as_slice() {
                [one] => format!("service {id} has an instance: terminate {one} first"),
                all => {
                    format!("service {id} has {} instances: terminate {} first", all.len(), all.join(", "))
                }
            },
        ));
    }
    let mut changes = vec![Change::RemoveService(id)];
    changes.extend(gone.iter().map(|instance| Change::Forget(*instance)));
    core.writer.write(changes).await?;
    {
        let mut state = core.state();
        state.services.remove(&id);
        gone.iter().for_each(|instance| {
            state.instances.remove(instance);
        });
    }
    let dir = package_dir(&core, service.view.id);
    // Without a record the directory is swept at the next start at the latest.
    blocking(move || match std::fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed("remove", &dir, &error)),
        _ => Ok(()),
    })
    .await
}
