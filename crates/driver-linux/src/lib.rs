//! E-Lines, E-LANs, E-Trees and data center links as Linux kernel objects, by netlink from this one process.
//!
//! A data center is two network namespaces: one holds ports, bridges and the upper side of tunnels and has
//! no address at all; the other, the underlay, holds links, routes and shaping. A port is a veth pair into
//! the container. An E-Line is a pair of patches, an E-LAN a bridge per data center, and between data
//! centers both go through VXLAN. `docs/dataplane.md` has the whole picture and the reasons.
//!
//! Never decides names or addresses, never starts a container, and never touches an object that does not
//! carry its installation's mark. Needs root, or the capabilities `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`; those of a user
//! namespace that has a network and a mount namespace of its own suffice, so an ordinary user can have them. Both
//! directories of [`Options`] must be writable there: mount a file system that goes with the namespaces.
//!
//! ```no_run
//! use llcm_driver_linux::{LinuxNetwork, Options};
//! use llcm_names::InstallationId;
//!
//! let installation = InstallationId::from_bits(0xc0ffee);
//! let network = LinuxNetwork::new(installation, Options::default())?;
//! # let _ = network;
//! # Ok::<(), llcm_runtime::DriverError>(())
//! ```
//!
//! # What it keeps on the host
//! - Namespaces `llcm-<installation>-<data center>` and the same with `.ul`, visible to `ip netns`.
//! - For a port of the host: its interface, and a table of nf_tables `llcm-<installation>-sap-<port>`.
//! - `<run dir>/<installation>/`: the lock file, and one small file per segment, chain and port. They make the
//!   driver complete after a restart of the program: `ensure_segment` and `attach` may be repeated, and need
//!   not be.
//!
//! Suggested reading order: `driver` (the trait), `operations` (segments and ports), `chain`, `wiring` (which frames
//! go where, pure), `host` (the host as an end), `underlay`, `links` and `shaping` (links),
//! `routing` (which way they are taken), `traffic` (counters and captures), `netns` (the kernel, by `llcm-netlink`).

mod canary;
mod chain;
mod completion;
mod datacenter;
mod delay_lines;
mod driver;
mod error;
mod host;
mod installation;
mod keys;
mod limits;
mod links;
mod management;
mod names;
mod netns;
mod operations;
mod packet;
mod patch;
mod pause;
mod port;
mod records;
mod removal;
mod routing;
mod segment;
mod shaping;
#[cfg(test)]
mod tests;
mod traffic;
mod trial;
mod underlay;
mod wiring;

pub use driver::{LinuxNetwork, Options};
pub use llcm_delayline::Helper;
pub use trial::Kernel;

use llcm_runtime::{DriverError, ErrorKind};

/// A request that makes no sense.
fn invalid(operation: &'static str, target: &str, message: &str) -> DriverError {
    DriverError::new(ErrorKind::Invalid, operation, target, message)
}

/// A failure that no error of the kernel's describes.
fn failed(operation: &'static str, target: &str, message: &str) -> DriverError {
    DriverError::new(ErrorKind::Failed, operation, target, message)
}
