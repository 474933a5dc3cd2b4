//! Whether the data centers of a segment reach one another, and with which MTU.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::DcName;
use llcm_topology::{Paths, Topology};

use super::drafts::Draft;
use super::findings::Findings;

/// The paths of a topology, with what was asked before.
pub(super) struct Reach<'a> {
    paths: Paths<'a>,
    /// Sets of data centers that were looked at: the MTU, or the two that do not reach one another.
    known: BTreeMap<BTreeSet<&'a DcName>, Result<u32, (&'a DcName, &'a DcName)>>,
}

impl<'a> Reach<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        Self { paths: Paths::new(topology), known: BTreeMap::new() }
    }

    /// The largest packet in bytes that gets from each to each of the sites; `None`, with a finding, when some
    /// of them do not reach one another.
    pub(super) fn mtu(
        &mut self,
        sites: &BTreeSet<&DcName>,
        draft: &Draft<'_>,
        findings: &mut Findings,
    ) -> Option<u32> {
        let own: BTreeSet<&'a DcName> = sites.iter().filter_map(|site| self.paths.name(site)).collect();
        let paths = &self.paths;
        let result = *self.known.entry(own).or_insert_with_key(|own| measure(paths, own));
        if let Err((from, to)) = result {
            findings.error(
                "no-path",
                draft.place(),
                format!(
                    "{} {} has ends in {from} and {to}, which no links join",
                    draft.connectivity.as_str(),
                    draft.id
                ),
                "add links to the topology, or place the units elsewhere",
            );
        }
        result.ok()
    }
}

fn measure<'a>(paths: &Paths<'a>, sites: &BTreeSet<&'a DcName>) -> Result<u32, (&'a DcName, &'a DcName)> {
    let mut mtu = u32::MAX;
    for from in sites {
        for to in sites.iter().filter(|to| *to != from) {
            match paths.between(from, to) {
                Some(path) => mtu = mtu.min(path.mtu()),
                None => return Err((from, to)),
            }
        }
    }
    Ok(mtu)
}
