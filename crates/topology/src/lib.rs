//! Emulated data centers, the links between them, the links' properties and the paths over them.
//!
//! Knows no VNF and does no I/O: [`load()`] takes the bytes of a topology file and gives a [`Topology`] together
//! with everything there is to say about the file.
//!
//! ```
//! let file = b"
//! datacenters: [dc1, dc2, dc3]
//! links:
//!   - ends: [dc1, dc2]
//!     bandwidth: 100Mbps
//!     delay: 10ms
//!   - [dc2, dc3]
//! ";
//! let (topology, findings) = llcm_topology::load(file);
//! let topology = topology.unwrap();
//! assert!(findings.is_empty());
//! assert_eq!(topology.links[0].a.egress.bandwidth_bps, Some(100_000_000));
//!
//! let paths = llcm_topology::Paths::new(&topology);
//! let path = paths.between(&topology.datacenters[0].name, &topology.datacenters[2].name).unwrap();
//! assert_eq!(path.hops.len(), 2);
//! ```
//!
//! # The file
//! ```yaml
//! datacenters:                  # in the order that placement follows
//!   - dc1                       # a name, or
//!   - name: dc2                 # a map
//!     metadata: {country: eu}   # anything; nothing is decided by it
//!     capacity: {cpu: 4, memory: 8GiB}
//!     engine: docker            # as the server calls it, where it is not its default one
//! links:                        # without this key: none
//!   - [dc1, dc2]                # two ends, or
//!   - ends: [dc1, dc2]          # a map; all else may be missing
//!     name: backbone
//!     bandwidth: 100Mbps        # bps, kbps, Mbps, Gbps, Tbps
//!     delay: 10ms               # us, ms, s; one way
//!     jitter: 1ms
//!     loss: 0.1%
//!     mtu: 1500                 # largest IP packet of VNFs, 1280 to 9000 bytes
//!     queue: 1000               # packets
//!     up: false                 # the link is cut: it is there and carries nothing; without this key: true
//!     forward: {delay: 20ms}    # from the first end to the second, where it differs
//!     backward: {loss: 1%}      # and back
//! templates:                    # many at once, behind those written out
//!   - shape: ring               # ring, star, mesh: count; tree: fanout, depth; grid: rows, columns
//!     prefix: edge              # edge1, edge2, edge3; in a grid edge1.1, edge1.2, ...
//!     count: 3
//!     capacity: {cpu: 2}        # metadata, capacity and engine of each
//!     links: {delay: 2ms}       # the properties of each link
//! ```
//! `docs/topology.md` says all of it.
//!
//! Suggested reading order: [`model`], [`load`](mod@load), [`units`], `shape`, `assemble`, `graphml`, `write`,
//! [`schema`](mod@schema), [`paths`], [`trees`], [`ways`], [`change`], [`schedule`], [`finding`].

mod assemble;
pub mod change;
pub mod finding;
mod graphml;
pub mod load;
pub mod model;
pub mod paths;
pub mod schedule;
pub mod schema;
mod shape;
pub mod trees;
pub mod units;
pub mod ways;
mod write;
mod yaml;

pub use change::{Batch, Change, ChangeError, LinkChange, NewLink};
pub use finding::{Finding, Severity};
pub use load::{MAX_BYTES, load, load_datacenter, load_link, load_link_change, load_schedule};
pub use model::{Capacity, DataCenter, Link, LinkEnd, LinkProperties, Topology, default_topology};
pub use paths::{Hop, Path, Paths};
pub use schedule::{Origin, Schedule, ScheduledChange};
pub use schema::schema;
pub use trees::{Step, Trees};
pub use ways::Ways;
pub use write::to_yaml;
