//! Descriptors, topology, settings, what is live -> the plan of one instance.

use std::collections::BTreeMap;

use llcm_descriptors::{Descriptors, Diagnostic};
use llcm_names::{InstallationId, InstanceId, Ssiid};
use llcm_topology::Topology;

use super::{HostFacts, InstancePlan, PlanState, Reserved};
use crate::settings::{Dialect, Settings};

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct PlanRequest<'a> {
    /// The package's descriptors.
    pub descriptors: &'a Descriptors,
    /// What [`super::reserve`] gave the service at onboarding. Not looked at in dialect `sonata`, where the
    /// plan itself reserves.
    pub reserved: &'a Reserved,
    /// Data centers and links.
    pub topology: &'a Topology,
    /// What can be set.
    pub settings: &'a Settings,
    /// The conventions to follow.
    pub dialect: Dialect,
    /// What is live.
    pub state: &'a PlanState,
    /// What the host has; `None`: planned offline, everything is taken to exist.
    pub facts: Option<&'a HostFacts>,
    /// The environment files: container name -> variables.
    pub env_files: &'a BTreeMap<String, BTreeMap<String, String>>,
    /// The installation.
    pub installation: &'a InstallationId,
    /// The new instance.
    pub instance: InstanceId,
    /// Its number within the service.
    pub ssiid: Ssiid,
}

/// Decides everything about one instance.
///
/// # Errors
/// All findings, at least one of them an error, when the instance cannot be: a pool is exhausted, a port is
/// taken, the policy refuses something, an endpoint resolves to several units of an E-Line.
#[expect(clippy::unimplemented, reason = "skeleton")]
pub fn build(request: &PlanRequest<'_>) -> Result<InstancePlan, Vec<Diagnostic>> {
    let _ = request;
    unimplemented!()
}
