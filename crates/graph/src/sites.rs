//! Data centers with what is in them.

use std::collections::BTreeMap;

use llcm_names::DcName;

use crate::model::{Graph, Instance, Unit};
use crate::words::traits;

/// A data center as it is drawn.
pub(crate) struct Site<'a> {
    pub(crate) name: &'a DcName,
    /// What is said of it.
    pub(crate) words: Vec<String>,
    /// What is in it, in the order of the instances.
    pub(crate) units: Vec<(&'a Instance, &'a Unit)>,
}

/// The data centers of the topology, then those that units are in and the topology does not have: an instance stays where it
/// was made when a server begins with another topology.
pub(crate) fn sites(graph: &Graph) -> Vec<Site<'_>> {
    let known = graph.topology.datacenters.iter();
    let mut sites: Vec<Site<'_>> =
        known.map(|dc| Site { name: &dc.name, words: traits(dc), units: Vec::new() }).collect();
    let mut numbers: BTreeMap<&DcName, usize> =
        sites.iter().enumerate().map(|(number, site)| (site.name, number)).collect();
    for instance in &graph.instances {
        for unit in &instance.units {
            let number = *numbers.entry(&unit.datacenter).or_insert_with(|| {
                let words = vec!["not in the topology".to_owned()];
                sites.push(Site { name: &unit.datacenter, words, units: Vec::new() });
                sites.len() - 1
            });
            if let Some(site) = sites.get_mut(number) {
                site.units.push((instance, unit));
            }
        }
    }
    sites
}
