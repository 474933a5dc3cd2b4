//! The subnets of a service.

use std::collections::BTreeSet;

use ipnetwork::Ipv4Network;
use llcm_descriptors::{Descriptors, Diagnostic};

use super::Reserved;
use crate::settings::{Dialect, Settings};

/// The subnets that a service needs, lowest free ones first; `taken` is [`super::PlanState::subnets`]. In
/// dialect `tango` called once at onboarding; in `sonata` onboarding reserves nothing and the result is empty.
///
/// # Errors
/// When a pool is exhausted.
#[expect(clippy::unimplemented, reason = "skeleton")]
pub fn reserve(
    descriptors: &Descriptors,
    settings: &Settings,
    dialect: Dialect,
    taken: &BTreeSet<Ipv4Network>,
) -> Result<Reserved, Vec<Diagnostic>> {
    let _ = (descriptors, settings, dialect, taken);
    unimplemented!()
}
