//! What is drawn.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::DcName;
use llcm_topology::{Paths, Topology};
use serde::{Deserialize, Serialize};

/// A topology with the instances on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graph {
    /// Data centers and links.
    #[serde(flatten)]
    pub topology: Topology,
    /// The instances that live, oldest first.
    pub instances: Vec<Instance>,
}

/// An instance of a network service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it does: `running`, `creating`, ...
    pub state: String,
    /// Its containers in starting order, then its interfaces of the host.
    pub units: Vec<Unit>,
    /// What joins them, in the order of the plan.
    pub segments: Vec<Segment>,
    /// What was added to that while it runs.
    #[serde(default)]
    pub chains: Vec<Chain>,
}

/// What an instance has in a data center.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// Its logical name, unique in the instance.
    pub name: String,
    /// The function that it belongs to; `None`: it is a service access point.
    pub vnf_id: Option<String>,
    /// Where it is, or is joined to the network.
    pub datacenter: DcName,
    /// Whether it is an interface of the host and no container.
    pub on_host: bool,
}

/// A segment: what a link of the service is in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The link's id in the NSD, or `<vnf_id>:<link id>`.
    pub id: String,
    /// `E-Line`, `E-LAN` or `E-Tree`.
    pub kind: String,
    /// Its ends.
    pub ends: Vec<SegmentEnd>,
    /// How it goes from data center to data center: one for each ordered pair of those that it has ends in, or none where
    /// those would be too many.
    pub paths: Vec<Route>,
    /// How many paths there are that are too many: see [`Graph::new`].
    #[serde(default, skip_serializing_if = "is_none")]
    pub paths_left_out: u64,
}

/// A chain: frames of one interface that are sent to another one, whatever segments the two are on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its number.
    pub id: u32,
    /// Where the frames come from.
    pub source: SegmentEnd,
    /// Where they go.
    pub destination: SegmentEnd,
    /// Whether frames of the destination that match go to the source.
    pub bidirectional: bool,
    /// Which frames; empty: all.
    #[serde(rename = "match")]
    pub matches: String,
    /// The highest one decides.
    pub priority: u16,
    /// How it goes from data center to data center, there and, if it goes both ways, back; none within one.
    pub paths: Vec<Route>,
    /// As with segments.
    #[serde(default, skip_serializing_if = "is_none")]
    pub paths_left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// An end of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentEnd {
    /// The unit, by its name.
    pub unit: String,
    /// The interface's name.
    pub interface: String,
}

/// How traffic goes from one data center to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Where it begins.
    pub from: DcName,
    /// Where it ends.
    pub to: DcName,
    /// The links it takes, by name, first to last; `None`: there is no way now.
    pub links: Option<Vec<String>>,
    /// The sum of the links' delays in microseconds.
    pub delay_us: u64,
    /// The bandwidth of the slowest link in bits per second; `None`: not limited.
    pub bandwidth_bps: Option<u64>,
    /// The largest IP packet in bytes that passes.
    pub mtu: u32,
}

impl Segment {
    /// A segment whose paths are not known yet: [`Graph::new`] finds them.
    #[must_use]
    pub fn new(id: &str, kind: &str, ends: Vec<SegmentEnd>) -> Self {
        Self { id: id.to_owned(), kind: kind.to_owned(), ends, paths: Vec::new(), paths_left_out: 0 }
    }
}

impl Graph {
    /// Data centers that a segment can have ends in and be told with its paths. Their number grows with the square of
    /// these.
    pub const MOST_SITES: usize = 32;
    /// About how many bytes all paths of a graph take in memory.
    pub const MOST_BYTES: usize = 16 << 20;

    /// The graph of a topology and what is on it; the paths are those of the topology.
    ///
    /// A segment with ends in more than [`Graph::MOST_SITES`] data centers is told without paths, and so is what comes after
    /// [`Graph::MOST_BYTES`] of them: how many those are is told instead.
    #[must_use]
    pub fn new(topology: Topology, mut instances: Vec<Instance>) -> Self {
        let mut routes = Routes { paths: Paths::new(&topology), bytes: Self::MOST_BYTES };
        for instance in &mut instances {
            let places: BTreeMap<&str, &DcName> =
                instance.units.iter().map(|unit| (unit.name.as_str(), &unit.datacenter)).collect();
            let place = |end: &SegmentEnd| places.get(end.unit.as_str()).copied();
            for segment in &mut instance.segments {
                // In the order of the ends, each once.
                let mut seen = BTreeSet::new();
                let sites = segment.ends.iter().filter_map(place).filter(|site| seen.insert(*site));
                let sites: Vec<&DcName> = sites.collect();
                let pairs = sites.iter().flat_map(|from| sites.iter().map(move |to| (*from, *to)));
                let pairs = pairs.filter(|(from, to)| from != to);
                (segment.paths, segment.paths_left_out) = if sites.len() > Self::MOST_SITES {
                    (Vec::new(), count(sites.len() * (sites.len() - 1)))
                } else {
                    routes.between(pairs.collect())
                };
            }
            for chain in &mut instance.chains {
                let ends = place(&chain.source).zip(place(&chain.destination));
                let there = ends.filter(|(from, to)| from != to);
                let back = there.filter(|_| chain.bidirectional).map(|(from, to)| (to, from));
                (chain.paths, chain.paths_left_out) = routes.between(there.into_iter().chain(back).collect());
            }
        }
        Self { topology, instances }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Finds routes, as many as there is room for.
struct Routes<'a> {
    paths: Paths<'a>,
    /// The room.
    bytes: usize,
}

impl Routes<'_> {
    /// The routes of some pairs, or how many are left out: all or none.
    fn between(&mut self, pairs: Vec<(&DcName, &DcName)>) -> (Vec<Route>, u64) {
        let mut routes = Vec::with_capacity(pairs.len());
        for (from, to) in &pairs {
            let route = route(&self.paths, from, to);
            let names = route.links.iter().flatten().map(|name| size_of::<String>() + name.len());
            let bytes = size_of::<Route>() + from.as_str().len() + to.as_str().len() + names.sum::<usize>();
            match self.bytes.checked_sub(bytes) {
                Some(left) => self.bytes = left,
                None => {
                    // What comes after it is not looked for: there may be very much of it.
                    self.bytes = 0;
                    return (Vec::new(), count(pairs.len()));
                }
            }
            routes.push(route);
        }
        (routes, 0)
    }
}

fn route(paths: &Paths<'_>, from: &DcName, to: &DcName) -> Route {
    let path = paths.between(from, to);
    Route {
        from: from.clone(),
        to: to.clone(),
        links: path.as_ref().map(|path| path.hops.iter().map(|hop| hop.link.name.clone()).collect()),
        delay_us: path.as_ref().map_or(0, llcm_topology::Path::delay_us),
        bandwidth_bps: path.as_ref().and_then(llcm_topology::Path::bandwidth_bps),
        mtu: path.as_ref().map_or(0, llcm_topology::Path::mtu),
    }
}
