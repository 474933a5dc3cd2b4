//! What is drawn.

use std::collections::BTreeMap;

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
    /// How it goes from data center to data center: one for each ordered pair of those that it has ends in.
    pub paths: Vec<Route>,
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
        Self { id: id.to_owned(), kind: kind.to_owned(), ends, paths: Vec::new() }
    }
}

impl Graph {
    /// The graph of a topology and what is on it; the segments' paths are those of the topology.
    #[must_use]
    pub fn new(topology: Topology, mut instances: Vec<Instance>) -> Self {
        let paths = Paths::new(&topology);
        for instance in &mut instances {
            let places: BTreeMap<&str, &DcName> =
                instance.units.iter().map(|unit| (unit.name.as_str(), &unit.datacenter)).collect();
            for segment in &mut instance.segments {
                // In the order of the ends, each once.
                let mut sites: Vec<&DcName> = Vec::new();
                for end in &segment.ends {
                    if let Some(site) = places.get(end.unit.as_str()).filter(|site| !sites.contains(site)) {
                        sites.push(site);
                    }
                }
                segment.paths = sites
                    .iter()
                    .flat_map(|from| sites.iter().map(move |to| (*from, *to)))
                    .filter(|(from, to)| from != to)
                    .map(|(from, to)| route(&paths, from, to))
                    .collect();
            }
        }
        Self { topology, instances }
    }

    /// The units in a data center, with their instances.
    pub(crate) fn units_in<'a>(&'a self, site: &'a DcName) -> impl Iterator<Item = (&'a Instance, &'a Unit)> {
        self.instances.iter().flat_map(move |instance| {
            instance
                .units
                .iter()
                .filter(move |unit| unit.datacenter == *site)
                .map(move |unit| (instance, unit))
        })
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
