//! Whether the data centers of a segment reach one another, and with which MTU.

use std::collections::{BTreeMap, BTreeSet};

use llcm_names::DcName;
use llcm_topology::{Paths, Topology};

use super::drafts::Draft;
use super::findings::Findings;

/// The code of ends that do not reach one another.
pub(crate) const NO_PATH: &str = "no-path";

/// The paths of a topology, with what was asked before.
pub(super) struct Reach<'a> {
    paths: Paths<'a>,
    /// Those when all links are up.
    whole: Paths<'a>,
    /// Sets of data centers that were looked at.
    known: BTreeMap<BTreeSet<&'a DcName>, Answer<'a>>,
}

/// Two data centers that do not reach one another.
type Gap<'a> = (&'a DcName, &'a DcName);

/// How a set of data centers reach one another.
#[derive(Debug, Clone, Copy)]
enum Answer<'a> {
    /// With this MTU.
    Now(u32),
    /// With this MTU once links are up again that are down.
    Later(u32, Gap<'a>),
    /// Not at all.
    Never(Gap<'a>),
}

impl<'a> Reach<'a> {
    pub(super) fn new(topology: &'a Topology) -> Self {
        Self { paths: Paths::new(topology), whole: Paths::of_all_links(topology), known: BTreeMap::new() }
    }

    /// The largest packet in bytes that gets from each to each of the sites; `None`, with a finding, when no links
    /// join some of them. Where links do, and are down, that is worth a warning.
    pub(super) fn mtu(
        &mut self,
        sites: &BTreeSet<&DcName>,
        draft: &Draft<'_>,
        findings: &mut Findings,
    ) -> Option<u32> {
        let own: BTreeSet<&'a DcName> = sites.iter().filter_map(|site| self.paths.name(site)).collect();
        let (paths, whole) = (&self.paths, &self.whole);
        let answer = *self.known.entry(own).or_insert_with_key(|own| match measure(paths, own) {
            Ok(mtu) => Answer::Now(mtu),
            Err(gap) => measure(whole, own).map_or_else(Answer::Never, |mtu| Answer::Later(mtu, gap)),
        });
        let ends = |(from, to): Gap<'_>| {
            format!("{} {} has ends in {from} and {to}", draft.connectivity.as_str(), draft.id)
        };
        match answer {
            Answer::Now(mtu) => Some(mtu),
            Answer::Later(mtu, gap) => {
                let message = format!("{}, and the links that join them are down", ends(gap));
                findings.warn("link-down", draft.place(), message, "it carries nothing until they are up");
                Some(mtu)
            }
            Answer::Never(gap) => {
                let message = format!("{}, which no links join", ends(gap));
                let hint = "add links to the topology, or place the units elsewhere";
                findings.error(NO_PATH, draft.place(), message, hint);
                None
            }
        }
    }
}

fn measure<'a>(paths: &Paths<'a>, sites: &BTreeSet<&'a DcName>) -> Result<u32, Gap<'a>> {
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
