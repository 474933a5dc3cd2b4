//! Typed network service descriptors (NSD) and network function descriptors (VNFD) of 5GTANGO and SONATA
//! packages: bytes in, a strict model and all diagnostics out.
//!
//! Touches no file system and asks nobody what is installed: the caller brings a [`Source`] of named bytes.
//! What the author wrote (tolerant) and what will be built ([`model`], strict) are different types.

pub mod diagnostic;
pub mod model;
pub mod source;

pub use diagnostic::{Diagnostic, Severity};
pub use model::{
    ConnectivityType, DeploymentUnit, Descriptors, Endpoint, ImageSource, Interface, MemorySize,
    NetworkFunction, Nsd, PackageInfo, PackageKind, Triple, VirtualLink, Vnfd,
};
pub use source::Source;
