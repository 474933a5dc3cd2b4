//! Chains: a port's frames that match go to another port.

use llcm_names::{Owner, SegmentId};
use llcm_netlink::LinkInfo;
use llcm_runtime::{ChainSpec, DriverError, DriverResult, ErrorKind, SegmentSpec};

use crate::installation::{Installation, State};
use crate::operations::conflict;
use crate::removal::{delete_where, in_each, is_owned};
use crate::segment::{device_names, ensure_site};
use crate::underlay::Datacenters;
use crate::wiring::{is_remote, sites};

const MAKE: &str = "make chain";

impl Installation {
    /// Makes a chain, with a tunnel of its own where it crosses data centers.
    pub(crate) fn ensure_chain(&self, spec: &ChainSpec) -> DriverResult<()> {
        let target = spec.id.to_string();
        if spec.source.port == spec.destination.port {
            return Err(crate::invalid(MAKE, &target, "a chain joins two ports"));
        }
        self.check_owner(MAKE, &spec.owner)?;
        let segment = spec.segment();
        let mut datacenters = Datacenters::new();
        for site in sites(&segment) {
            datacenters.insert(site.clone(), self.datacenter(site)?);
        }
        let mut state = self.state();
        check(&state, spec)?;
        let fresh = !state.records.chains().contains_key(&spec.id);
        if fresh {
            state.records.put_chain(spec)?;
        }
        let made = self
            .join_sites(&segment, !fresh)
            .and_then(|()| self.make_chain(&mut state, spec, &segment, &datacenters));
        drop(state);
        made.map_err(|mut error| {
            // What was there before stays.
            if fresh && let Err(undo) = self.remove_chain(&spec.owner, spec.id) {
                error.message = format!("{}; and undoing it: {undo}", error.message);
            }
            error
        })
    }

    /// Makes the tunnel and the filters of a chain, which is recorded.
    pub(crate) fn make_chain(
        &self,
        state: &mut State,
        spec: &ChainSpec,
        segment: &SegmentSpec,
        datacenters: &Datacenters,
    ) -> DriverResult<()> {
        if is_remote(segment) {
            datacenters.values().try_for_each(|site| ensure_site(segment, site, datacenters))?;
        }
        let wires = state.view().wires_of_chain(spec);
        self.wire(state, &wires)
    }

    /// Removes a chain.
    pub(crate) fn remove_chain(&self, owner: &Owner, chain: SegmentId) -> DriverResult<()> {
        let mut state = self.state();
        if state.records.segments().contains_key(&chain) {
            return Err(conflict("remove chain", chain, "a segment has its id"));
        }
        let datacenters = match state.records.chains().get(&chain).cloned() {
            Some(spec) => {
                if spec.owner != *owner {
                    return Err(conflict("remove chain", chain, "it is another instance's"));
                }
                let wires = state.view().without_chain(chain, |view| view.wires_of_chain(&spec));
                // The record last: as long as it is there, a chain that is half gone can be removed again.
                self.wire(&mut state, &wires)?;
                state.records.remove_chain(chain)?;
                self.open_all(sites(&spec.segment()))?
            }
            None => self.all_datacenters()?,
        };
        state.patches.forget(|_, name| device_names(chain).iter().any(|known| known == name));
        drop(state);
        let tunnels = |info: &LinkInfo| is_owned(info, owner) && device_names(chain).contains(&info.name);
        match in_each(datacenters.values(), |dc| delete_where(dc, tunnels)).into_iter().next() {
            None => Ok(()),
            Some(error) => {
                self.state().scattered.insert(owner.clone());
                Err(error)
            }
        }
    }
}

/// Checks a chain against what is recorded.
fn check(state: &State, spec: &ChainSpec) -> DriverResult<()> {
    if state.records.segments().contains_key(&spec.id) {
        return Err(conflict(MAKE, spec.id, "a segment has its id"));
    }
    match state.records.chains().get(&spec.id) {
        Some(present) if present.owner != spec.owner => {
            return Err(conflict(MAKE, spec.id, "it is another instance's"));
        }
        Some(present) if present != spec => {
            return Err(conflict(MAKE, spec.id, "it exists with another spec; remove it first"));
        }
        _ => {}
    }
    for end in [&spec.source, &spec.destination] {
        let Some(port) = state.records.ports().get(&end.port) else { continue };
        if port.owner != spec.owner {
            return Err(conflict(MAKE, spec.id, "one of its ports is another instance's"));
        }
        if port.datacenter != end.datacenter {
            let message = format!("port {} is in {}, not in {}", end.port, port.datacenter, end.datacenter);
            return Err(DriverError::new(ErrorKind::Invalid, MAKE, spec.id.to_string(), message));
        }
    }
    Ok(())
}
