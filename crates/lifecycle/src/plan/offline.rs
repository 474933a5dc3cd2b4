//! Planning without a server: the whole of a package's life on paper.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use llcm_descriptors::{Descriptors, Diagnostic, PackageInfo, Triple};
use llcm_names::{InstallationId, InstanceId, PackageHash, ServiceId, Ssiid};
use llcm_topology::Topology;
use uuid::Uuid;

use super::document::{FORMAT, InstanceDocument, PackageDocument, PlanDocument, vnfs};
use super::{InstancePlan, PlanRequest, PlanState, Reserved, build, images, reserve};
use crate::settings::{Dialect, Settings};

/// The namespace of offline instances' ids (a random UUID, fixed once and for all).
const NAMESPACE: Uuid = Uuid::from_u128(0x6f0d_0c5e_8d0b_4f0e_9a3c_5b1d_7e42_c6a9);

/// The data directory of a server that runs as root and was told nothing else.
const DATA_DIR: &str = "/var/lib/llcm";

/// A package as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct PackageInput {
    /// The SHA-1 of the file's bytes.
    pub sha1: PackageHash,
    /// The package, as far as its manifest could be read.
    pub package: Option<PackageInfo>,
    /// The NSD's identity likewise.
    pub nsd: Option<Triple>,
    /// What it means; `None` when a finding is an error.
    pub descriptors: Option<Descriptors>,
    /// All findings so far.
    pub diagnostics: Vec<Diagnostic>,
    /// The environment files: container name -> variables.
    pub env_files: BTreeMap<String, BTreeMap<String, String>>,
}

/// The id that an instance has when it is planned offline: a UUID (version 5) of the package's digest and the
/// SSIID, so that the same package always has the same plan, MAC addresses included.
#[must_use]
pub fn offline_instance_id(sha1: &PackageHash, ssiid: Ssiid) -> InstanceId {
    InstanceId::new(Uuid::new_v5(&NAMESPACE, format!("{sha1}:{ssiid}").as_bytes()))
}

/// The id that a service has when it is planned offline: a UUID (version 5) of the package's digest.
#[must_use]
pub fn offline_service_id(sha1: &PackageHash) -> ServiceId {
    ServiceId::new(Uuid::new_v5(&NAMESPACE, sha1.to_string().as_bytes()))
}

/// Plans instances 0 to `instances` - 1 of a package, all of them live side by side, on a host on which
/// nothing else runs and every CPU exists. The installation is `00000000`, instances have their
/// [`offline_instance_id`], the service its [`offline_service_id`], the data directory is the one of a server that
/// runs as root; all else is what a new server would decide.
#[must_use]
pub fn plan_offline(
    input: &PackageInput,
    topology: &Topology,
    settings: &Settings,
    dialect: Dialect,
    instances: u16,
) -> PlanDocument {
    let mut document = PlanDocument {
        format: FORMAT,
        dialect,
        package: input.package.as_ref().map(|info| PackageDocument::new(info, &input.sha1)),
        nsd: input.nsd.clone(),
        vnfs: BTreeMap::new(),
        reserved: Reserved::default(),
        diagnostics: input.diagnostics.clone(),
        instances: Vec::new(),
    };
    let Some(descriptors) = &input.descriptors else { return document };
    document.nsd = Some(descriptors.nsd.id.clone());
    document.package = Some(PackageDocument::new(&descriptors.package, &input.sha1));
    document.vnfs = vnfs(descriptors);
    let mut seen: BTreeSet<Diagnostic> = document.diagnostics.iter().cloned().collect();
    let mut report = |document: &mut PlanDocument, findings: Vec<Diagnostic>| {
        document.diagnostics.extend(findings.into_iter().filter(|finding| seen.insert(finding.clone())));
    };
    match instances_of(descriptors, input, topology, &settings.of(dialect), dialect, instances) {
        Ok((reserved, plans)) => {
            document.reserved = reserved;
            for plan in plans {
                document.instances.push(InstanceDocument::from(&plan));
                document.reserved.append(plan.leases);
                report(&mut document, plan.warnings);
            }
        }
        Err(findings) => report(&mut document, findings),
    }
    document
}

/// What onboarding reserves, and the plans.
fn instances_of(
    descriptors: &Descriptors,
    input: &PackageInput,
    topology: &Topology,
    settings: &Settings,
    dialect: Dialect,
    instances: u16,
) -> Result<(Reserved, Vec<InstancePlan>), Vec<Diagnostic>> {
    let mut state = PlanState::default();
    images(descriptors, settings)?;
    let reserved = reserve(descriptors, settings, dialect, &state.subnets)?;
    state.hold(&reserved);
    let installation = InstallationId::from_bits(0);
    let results = settings.results_of(Path::new(DATA_DIR), offline_service_id(&input.sha1));
    let mut plans = Vec::with_capacity(usize::from(instances));
    for ssiid in (0..instances).map(Ssiid::new) {
        let plan = build(&PlanRequest {
            descriptors,
            reserved: &reserved,
            topology,
            settings,
            dialect,
            state: &state,
            facts: None,
            env_files: &input.env_files,
            results: &results,
            placement: None,
            installation: &installation,
            instance: offline_instance_id(&input.sha1, ssiid),
            ssiid,
        })?;
        state.occupy(&plan);
        plans.push(plan);
    }
    Ok((reserved, plans))
}
