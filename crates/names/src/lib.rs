//! Identifiers of the system and the rules their text follows.
//!
//! One small module per word. In each the parser is the only constructor, so that a value that exists is
//! valid; `serde` goes through the same parser. Nothing here knows a descriptor, a container engine or the
//! kernel beyond the limits of its names.
//!
//! ```
//! use llcm_names::{ContainerName, Ssiid};
//!
//! let name = ContainerName::derive("vnf0", "vdu01", Ssiid::new(2)).unwrap();
//! assert_eq!(name.as_str(), "vnf0.vdu01.2");
//! assert_eq!(name.engine_name().as_str(), "mn.vnf0.vdu01.2");
//! ```
//!
//! Suggested reading order: [`ids`], [`container`], [`ifname`], [`mac`], [`port`], [`dc`], [`owner`].

pub mod container;
pub mod dc;
pub mod ids;
pub mod ifname;
pub mod mac;
pub mod owner;
pub mod port;
mod text;

pub use container::{ContainerName, EngineName};
pub use dc::DcName;
pub use ids::{
    FunctionId, InstallationId, InstanceId, LinkGroup, PackageHash, PortId, RequestId, ScheduleId, SegmentId,
    ServiceId, Ssiid,
};
pub use ifname::IfName;
pub use mac::MacAddr;
pub use owner::Owner;
pub use port::{Port, Protocol};
pub use text::NameError;
