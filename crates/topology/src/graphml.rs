//! GraphML, as the Internet Topology Zoo publishes it (<http://www.topology-zoo.org>), as a topology.
//!
//! A node becomes a data center, an edge a link; `docs/topology.md` has the rules. XML comes from strangers: nothing is
//! expanded or fetched, DTDs are refused, and depth, nodes and edges are bounded ([`read`]).
//!
//! Reading order: [`read`] (what stands there), [`convert`] (what it means), [`names`], [`distance`].

mod convert;
mod distance;
mod names;
mod read;

use crate::finding::Findings;
use crate::model::Topology;

/// Whether a file is XML: no topology file in YAML begins so.
pub(crate) fn is_xml(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

/// Reads a GraphML file; no topology comes back when there is an error that leaves none.
pub(crate) fn load(text: &str, findings: &mut Findings) -> Option<Topology> {
    let graph = read::read(text, findings)?;
    convert::convert(&graph, findings)
}

#[cfg(test)]
mod tests;
