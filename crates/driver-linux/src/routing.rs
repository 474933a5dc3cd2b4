//! Which way packets of tunnels go: host routes along the shortest paths, for those data centers that share a segment.
//!
//! Routes between all pairs would be a million for a thousand data centers, and most pairs never meet. So a pair's
//! routes come with the first segment across it, on the data centers of its path and nowhere else. They are set
//! from the far end on, so that whatever sends to the next hop finds the rest of the way there: with a
//! new topology each packet takes the old way or the new one to its end. Routes that no segment needs any more go with the
//! next change of the topology.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use llcm_names::DcName;
use llcm_netlink::Device;
use llcm_netlink::route::{self, HostRoute};
use llcm_runtime::DriverResult;
use llcm_topology::{Topology, Trees};

use crate::datacenter::Datacenter;

/// Opens a data center.
pub(crate) type Open<'a> = dyn Fn(&DcName) -> DriverResult<Arc<Datacenter>> + 'a;

/// The paths of the topology that was prepared last, and what was made of them.
#[derive(Debug)]
pub(crate) struct Routing {
    names: Vec<DcName>,
    trees: Trees,
    /// By link: its device at the first end and at the second.
    devices: Vec<[Device; 2]>,
    /// The pairs whose routes are there, by number, from one to the other.
    routed: BTreeSet<(usize, usize)>,
}

/// Routes by how many hops they are from where they lead, then by the data center that they are in.
type Levels = BTreeMap<(usize, usize), Vec<HostRoute>>;

impl Routing {
    /// Of a topology whose links have these devices, in their order. No routes yet.
    pub(crate) fn new(topology: &Topology, devices: Vec<[Device; 2]>) -> Self {
        let names = topology.datacenters.iter().map(|dc| dc.name.clone()).collect();
        Self { names, trees: Trees::new(topology), devices, routed: BTreeSet::new() }
    }

    /// Makes the routes between the sites of one segment, unless they are there.
    pub(crate) fn join(&mut self, sites: &[&DcName], open: &Open<'_>) -> DriverResult<()> {
        let pairs = self.pairs(sites).filter(|pair| !self.routed.contains(pair)).collect();
        let levels = self.plan(&pairs, open)?;
        self.set(levels, open)?;
        self.routed.extend(pairs);
        Ok(())
    }

    /// Makes the routes of all segments, each given by its sites, whatever there is now, and removes all others.
    pub(crate) fn replace(&mut self, segments: &[Vec<&DcName>], open: &Open<'_>) -> DriverResult<()> {
        let pairs: BTreeSet<_> = segments.iter().flat_map(|sites| self.pairs(sites)).collect();
        let mut levels = self.plan(&pairs, open)?;
        let mut wanted: BTreeMap<usize, BTreeSet<Ipv4Addr>> = BTreeMap::new();
        for ((_, number), routes) in &levels {
            wanted.entry(*number).or_default().extend(routes.iter().map(|route| route.to));
        }
        let mut others: Vec<(usize, Vec<Ipv4Addr>)> = Vec::new();
        let mut present: BTreeMap<usize, BTreeSet<HostRoute>> = BTreeMap::new();
        for (number, name) in self.names.iter().enumerate() {
            let found = open(name)?.underlay.call("list routes of", name.as_str(), route::list_hosts)?;
            let wanted = wanted.get(&number);
            let unwanted = found.iter().map(|route| route.to);
            let unwanted: Vec<_> =
                unwanted.filter(|to| wanted.is_none_or(|wanted| !wanted.contains(to))).collect();
            if !unwanted.is_empty() {
                others.push((number, unwanted));
            }
            present.insert(number, found.into_iter().collect());
        }
        for ((_, number), routes) in &mut levels {
            routes.retain(|route| present.get(number).is_none_or(|present| !present.contains(route)));
        }
        self.set(levels, open)?;
        for (number, hosts) in others {
            let name = &self.names[number];
            open(name)?
                .underlay
                .call("remove routes of", name.as_str(), |socket| route::remove(socket, &hosts))?;
        }
        self.routed = pairs;
        Ok(())
    }

    /// All pairs of some data centers, from one to the other, by number.
    fn pairs(&self, sites: &[&DcName]) -> impl Iterator<Item = (usize, usize)> + use<> {
        let numbers: Vec<usize> = sites.iter().filter_map(|site| self.trees.number(site)).collect();
        numbers.clone().into_iter().flat_map(move |from| {
            let others: Vec<usize> = numbers.iter().copied().filter(|to| *to != from).collect();
            others.into_iter().map(move |to| (from, to))
        })
    }

    /// The routes on all paths from one of a pair to the other. Pairs without a path have none.
    fn plan(&self, pairs: &BTreeSet<(usize, usize)>, open: &Open<'_>) -> DriverResult<Levels> {
        let mut levels = Levels::new();
        let mut known: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut addresses: BTreeMap<usize, Ipv4Addr> = BTreeMap::new();
        let mut address = |number: usize| -> DriverResult<Ipv4Addr> {
            if let Some(address) = addresses.get(&number) {
                return Ok(*address);
            }
            let address = open(&self.names[number])?.address;
            addresses.insert(number, address);
            Ok(address)
        };
        for &(from, to) in pairs {
            for (level, step) in self.trees.back(from, to).into_iter().flatten().enumerate() {
                // What lies on a path has the rest of it as its own.
                if !known.insert((step.from, to)) {
                    continue;
                }
                let via = if step.to == to { None } else { Some(address(step.to)?) };
                let device = self.devices[step.link][usize::from(step.backward)];
                let route = HostRoute { to: address(to)?, via, device };
                levels.entry((level, step.from)).or_default().push(route);
            }
        }
        Ok(levels)
    }

    /// Sets routes, those next to where they lead first.
    fn set(&self, levels: Levels, open: &Open<'_>) -> DriverResult<()> {
        for ((_, number), routes) in levels.into_iter().filter(|(_, routes)| !routes.is_empty()) {
            let dc = open(&self.names[number])?;
            dc.underlay
                .call("set routes of", dc.name.as_str(), |socket| route::set(socket, &routes, dc.address))?;
        }
        Ok(())
    }
}
