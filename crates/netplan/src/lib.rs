//! Address plans: which subnet, which host address, which host port - decided with checked arithmetic and
//! without doing anything.
//!
//! No I/O, no global, no clock: a [`SubnetPool`] is a value, and its [`PoolState`] can be stored. Knows no
//! descriptor and no driver.
//!
//! The vocabulary: a *pool* is a run of equal subnets, a *lease* is one that somebody holds, a *segment* is a
//! layer-2 network whose members get *host* addresses out of one lease, and a *published port* is a
//! container's port that clients reach on the host.
//!
//! ```
//! use llcm_netplan::{PoolConfig, SubnetPool, address_members};
//!
//! // E-Lines get 20.0.0.0/24, 20.0.1.0/24, ...
//! let mut pool = SubnetPool::new(PoolConfig::parse("20.0.0.0/24", 256).unwrap());
//! let subnet = pool.lease().unwrap();
//! assert_eq!(subnet.to_string(), "20.0.0.0/24");
//!
//! // Two members without static addresses: hosts 1 and 2.
//! let addresses = address_members(subnet, &[None, None]).unwrap();
//! assert_eq!(addresses[1].to_string(), "20.0.0.2/24");
//! ```
//!
//! Suggested reading order: [`pool`], [`hosts`], [`segment`], [`ports`], [`error`].

pub mod error;
pub mod hosts;
pub mod pool;
pub mod ports;
pub mod segment;

pub use error::NetplanError;
pub use hosts::{host, host_capacity, prefix_for};
pub use pool::{PoolConfig, PoolState, SubnetPool};
pub use ports::{PortBook, published_port};
pub use segment::{Shape, address_members, shape};
