//! The subnets of a service.

use std::collections::{BTreeMap, BTreeSet};

use ipnetwork::Ipv4Network;
use llcm_descriptors::{Descriptors, Diagnostic};
use llcm_netplan::{NetplanError, PoolConfig, Shape, SubnetPool};

use super::Reserved;
use super::drafts::{Draft, drafts};
use super::findings::Findings;
use super::saps::{SapSubnets, Saps, Without};
use super::service::Service;
use crate::settings::{Dialect, Settings};

/// The subnets that a service needs, lowest free ones first; `taken` is [`super::PlanState::subnets`]. In
/// dialect `tango` called once at onboarding; in `sonata` onboarding reserves nothing and the result is empty.
///
/// In `tango`, every declared link gets one, also an E-Line that will be skipped because it ends at a service
/// connection point - but only where links are deployed at all (the originals' rule).
///
/// # Errors
/// When a pool is exhausted or its definition makes no sense.
pub fn reserve(
    descriptors: &Descriptors,
    settings: &Settings,
    dialect: Dialect,
    taken: &BTreeSet<Ipv4Network>,
) -> Result<Reserved, Vec<Diagnostic>> {
    if dialect == Dialect::Sonata {
        return Ok(Reserved::default());
    }
    let mut findings = Findings::default();
    let mut reading = Findings::default();
    // Subnets of external access points are the instances' own, because the host knows them; the links that end
    // there keep those that they have without access points.
    let saps = Saps::new(descriptors, settings, Without::default(), &mut reading);
    let service = Service::new(&saps.descriptors, dialect, &mut reading);
    let drafts = drafts(&saps, &service, settings, dialect, &mut reading);
    // What is wrong with the links is for the plan to say; here only subnets matter.
    let reserved = lease(&drafts, settings, dialect, taken, &mut findings);
    findings.finish(reserved).map(|(reserved, _)| reserved)
}

/// Leases a subnet for each of the links. In dialect `sonata`, those of external access points have these points'
/// subnets instead.
pub(super) fn lease(
    drafts: &[Draft<'_>],
    settings: &Settings,
    dialect: Dialect,
    taken: &BTreeSet<Ipv4Network>,
    findings: &mut Findings,
) -> Reserved {
    let mut reserved = Reserved::default();
    let pools = pool(settings.pools.eline, default_pool(dialect, Shape::Line), taken)
        .and_then(|eline| Ok((eline, pool(settings.pools.elan, default_pool(dialect, Shape::Lan), taken)?)));
    let (mut eline, mut elan) = match pools {
        Ok(pools) => pools,
        Err(error) => {
            findings.error(
                "bad-pool",
                ("", ""),
                error.to_string(),
                "correct the settings `eline_pool` and `elan_pool`",
            );
            return reserved;
        }
    };
    for draft in drafts {
        if dialect == Dialect::Sonata && draft.sap().is_some() {
            continue;
        }
        let (pool, list, name) = match draft.shape {
            Shape::Line => (&mut eline, &mut reserved.eline, "eline"),
            Shape::Lan | Shape::Tree => (&mut elan, &mut reserved.elan, "elan"),
        };
        match pool.lease_for(draft.members.len()) {
            Ok(subnet) => list.push(subnet),
            Err(error) => {
                let message = format!("no subnet for {} {}: {error}", draft.connectivity.as_str(), draft.id);
                findings.error(
                    "pool-exhausted",
                    draft.place(),
                    message,
                    &format!("the pool is the setting `{name}_pool`"),
                );
            }
        }
    }
    reserved
}

/// Leases a subnet for each external access point that is the first on some link: large enough for all that are on
/// these links. `taken` is what others hold; `known` are networks that the host has otherwise, which are kept clear
/// of.
pub(super) fn lease_saps(
    saps: &Saps<'_>,
    drafts: &[Draft<'_>],
    settings: &Settings,
    taken: &BTreeSet<Ipv4Network>,
    known: &[Ipv4Network],
    findings: &mut Findings,
) -> SapSubnets {
    let mut sizes: BTreeMap<usize, usize> = BTreeMap::new();
    for draft in drafts {
        if let Some(sap) = draft.sap() {
            *sizes.entry(sap).or_insert(1) += draft.members.len() - 1;
        }
    }
    let mut subnets = SapSubnets::new();
    let default = PoolConfig::new([10, 10, 0, 0].into(), 30, 24, 256);
    let mut pool = match pool(settings.pools.sap, default, taken) {
        Ok(pool) => pool,
        Err(error) => {
            findings.error("bad-pool", ("", ""), error.to_string(), "correct the setting `sap_pool`");
            return subnets;
        }
    };
    known.iter().for_each(|network| pool.avoid(*network));
    for (position, sap) in saps.external().enumerate() {
        let Some(&size) = sizes.get(&position) else { continue };
        match pool.lease_for(size) {
            Ok(subnet) => {
                subnets.insert(position, subnet);
            }
            Err(error) => findings.error(
                "pool-exhausted",
                (&saps.descriptors.nsd.document, "connection_points"),
                format!("no subnet for the access point {}: {error}", sap.id),
                "the pool is the setting `sap_pool`; networks that the host has routes to are left out of it",
            ),
        }
    }
    subnets
}

/// The pools that the originals have, with as many subnets as their one counting byte can tell apart.
fn default_pool(dialect: Dialect, shape: Shape) -> Result<PoolConfig, NetplanError> {
    let (base, prefix) = match (dialect, shape) {
        (Dialect::Tango, Shape::Line) => ([20, 0, 0, 0], 24),
        (Dialect::Tango, Shape::Lan | Shape::Tree) => ([30, 0, 0, 0], 24),
        (Dialect::Sonata, Shape::Line) => ([10, 30, 0, 0], 30),
        (Dialect::Sonata, Shape::Lan | Shape::Tree) => ([10, 20, 0, 0], 24),
    };
    PoolConfig::new(base.into(), prefix, 24, 256)
}

fn pool(
    set: Option<PoolConfig>,
    default: Result<PoolConfig, NetplanError>,
    taken: &BTreeSet<Ipv4Network>,
) -> Result<SubnetPool, NetplanError> {
    let config = match set {
        Some(config) => config,
        None => default?,
    };
    let mut pool = SubnetPool::new(config);
    for subnet in taken {
        if !pool.take(*subnet) {
            pool.avoid(*subnet);
        }
    }
    Ok(pool)
}
