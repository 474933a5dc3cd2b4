//! Typed network service descriptors (NSD) and network function descriptors (VNFD) of 5GTANGO and SONATA
//! packages: bytes in, a strict model and all diagnostics out.
//!
//! Touches no file system and asks nobody what is installed: the caller brings a [`Source`] of named bytes.
//! What the author wrote (tolerant: unknown keys, `null`, numbers for strings, duplicate keys) and what will
//! be built ([`model`], strict) are different types; the way between them is [`load()`].
//!
//! ```
//! use std::collections::BTreeMap;
//! use llcm_descriptors::{LoadOptions, load};
//!
//! let napd = "name: demo\npackage_content:\n- {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}\n";
//! let nsd = "name: demo-ns\nnetwork_functions:\n- {vnf_id: vnf0, vnf_name: firewall}\n";
//! let files = BTreeMap::from([
//!     ("TOSCA-Metadata/NAPD.yaml".to_owned(), napd.as_bytes().to_vec()),
//!     ("nsd.yaml".to_owned(), nsd.as_bytes().to_vec()),
//! ]);
//! let loaded = load(&files, &LoadOptions::default());
//! assert!(!loaded.is_valid());
//! assert_eq!(loaded.diagnostics[0].code, "unknown-vnfd");
//! assert_eq!(loaded.diagnostics[0].path, "network_functions[0]");
//! ```
//!
//! Suggested reading order: [`model`], [`source`], [`diagnostic`], then the private modules `load`, `package`,
//! `nsd`, `vnfd`, `unit`, and `yaml` below them.

pub mod diagnostic;
mod image;
mod interface;
mod link;
mod load;
pub mod model;
mod nsd;
mod package;
mod path;
mod ports;
mod quantity;
pub mod source;
mod unit;
mod vnfd;
mod yaml;

pub use diagnostic::{Diagnostic, Severity};
pub use load::{LoadOptions, Loaded, load, load_vnfd};
pub use model::{
    ConnectivityType, DeploymentUnit, Descriptors, Endpoint, ImageSource, Interface, MemorySize,
    NetworkFunction, Nsd, PackageInfo, PackageKind, ServiceConnectionPoint, Triple, VirtualLink, Vnfd,
};
pub use package::ContentEntry;
pub use source::{Source, SourceFn};
