//! The kernel's routing netlink, as far as this crate needs it: requests, replies, and a typed call per
//! kind of object.
//!
//! Calls are synchronous on purpose. The kernel executes a request inside `sendmsg`, under a lock that
//! other callers hold for up to tens of milliseconds: an asynchronous socket would block its executor all
//! the same. Callers run on threads that may block.

pub(crate) mod address;
pub(crate) mod fdb;
pub(crate) mod link;
pub(crate) mod link_kind;
pub(crate) mod route;
pub(crate) mod shape;
pub(crate) mod socket;
pub(crate) mod tc;
pub(crate) mod wire;

pub(crate) use link::{Device, LinkInfo};
pub(crate) use socket::{NetlinkError, Socket};
