//! The network as it stands, as a graph: data centers, the links between them, and what instances have where and how
//! it is joined; and pure functions that draw it.
//!
//! Knows no server and does no I/O: [`Graph::new`] takes a topology and what is on it, [`text()`], [`dot()`] and [`mermaid()`]
//! give texts. Names may be anybody's; each drawing escapes them by its own rules.
//!
//! ```
//! use llcm_graph::{Graph, Instance, Segment, SegmentEnd, Unit, dot, mermaid, text};
//!
//! let topology = llcm_topology::default_topology();
//! let unit = |name: &str, at: usize| Unit {
//!     name: name.to_owned(),
//!     vnf_id: Some(name.to_owned()),
//!     datacenter: topology.datacenters[at].name.clone(),
//!     on_host: false,
//! };
//! let end = |unit: &str| SegmentEnd { unit: unit.to_owned(), interface: "eth0".to_owned() };
//! let instance = Instance {
//!     id: "1".to_owned(),
//!     name: "chain-inst.0".to_owned(),
//!     state: "running".to_owned(),
//!     units: vec![unit("source", 0), unit("sink", 1)],
//!     segments: vec![Segment::new("link", "E-Line", vec![end("source"), end("sink")])],
//!     chains: Vec::new(),
//! };
//! let graph = Graph::new(topology, vec![instance]);
//! assert_eq!(graph.instances[0].segments[0].paths[0].links.as_deref(), Some(&["dc1-dc2".to_owned()][..]));
//! assert!(text(&graph).contains("source"));
//! assert!(dot(&graph).starts_with("graph"));
//! assert!(mermaid(&graph).starts_with("flowchart"));
//! ```
//!
//! Suggested reading order: [`model`], [`text`](mod@text), [`dot`](mod@dot), [`mermaid`](mod@mermaid), `sites`,
//! `words`.

pub mod dot;
pub mod mermaid;
pub mod model;
mod sites;
pub mod text;
mod words;

pub use dot::dot;
pub use mermaid::mermaid;
pub use model::{Chain, Graph, Instance, Route, Segment, SegmentEnd, Unit};
pub use text::text;
