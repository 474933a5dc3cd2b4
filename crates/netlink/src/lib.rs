//! The kernel's netlink, as far as this workspace needs it: requests, replies, and a typed call per kind of object.
//!
//! Calls are synchronous on purpose. The kernel executes a request inside `sendmsg`, under a lock that
//! other callers hold for up to tens of milliseconds: an asynchronous socket would block its executor all
//! the same. Callers run on threads that may block.
//!
//! ```no_run
//! use llcm_netlink::{Socket, link};
//!
//! # fn main() -> Result<(), llcm_netlink::NetlinkError> {
//! // In the network namespace of this thread; see `netns` for another one.
//! let mut socket = Socket::open()?;
//! for found in link::list(&mut socket)? {
//!     println!("{}: {}", found.index, found.name);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Reading order
//! [`wire`]: messages as bytes; [`socket`]: one request and its answer; [`link`]: the simplest kind of object;
//! the others in any order, [`nf_tables`] and [`forwarding`] last; [`netns`]: how to work in another network namespace.
//!
//! # Errors
//! Each call fails with [`NetlinkError::Refused`] and what the kernel says, or with [`NetlinkError::Socket`] when the
//! socket fails or no answer comes within 20 seconds. A call's text says what is no error for it.
//!
//! Numbers come from the kernel's headers: linux/rtnetlink.h, if_link.h, if_addr.h, pkt_sched.h, pkt_cls.h. Each is
//! named as there, without the prefix that all of one header have.

pub mod address;
pub mod fdb;
pub mod forwarding;
pub mod link;
pub mod link_kind;
pub mod neighbour;
pub mod netns;
pub mod nf_tables;
pub mod route;
pub mod rule;
pub mod shape;
pub mod socket;
pub mod stats;
pub mod tc;
pub mod wire;

pub use link::{Device, LinkInfo};
pub use socket::{NetlinkError, Socket};
