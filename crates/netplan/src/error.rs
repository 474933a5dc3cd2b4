//! What cannot be planned.

use std::net::IpAddr;

use ipnetwork::Ipv4Network;
use llcm_names::{Port, Protocol};
use thiserror::Error;

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NetplanError {
    /// A pool's definition makes no sense.
    #[error("pool {base}/{prefix} x {count} cannot be: {reason}")]
    BadPool {
        /// The base as given.
        base: String,
        /// The subnets' prefix length.
        prefix: u8,
        /// How many subnets.
        count: u32,
        /// What is wrong.
        reason: &'static str,
    },
    /// No subnet is free.
    #[error(
        "the pool of {count} subnets from {first} has no free run of {blocks}: give it a larger count, or \
         remove services"
    )]
    PoolExhausted {
        /// The pool's first subnet.
        first: Ipv4Network,
        /// The subnets it has.
        count: u32,
        /// The adjoining subnets that were asked for.
        blocks: u32,
    },
    /// More members than any subnet of IPv4 has hosts.
    #[error("{members} members do not fit into one subnet of the pool")]
    TooManyMembers {
        /// How many.
        members: usize,
    },
    /// The subnet has fewer hosts than members.
    #[error("subnet {subnet} has {capacity} hosts, too few for the members of the segment")]
    SubnetFull {
        /// The subnet.
        subnet: Ipv4Network,
        /// The hosts it has.
        capacity: u32,
    },
    /// Two members of a segment have the same static address.
    #[error("static address {address} is given to two members of one segment")]
    AddressTwice {
        /// The address.
        address: IpAddr,
        /// The members' positions, from 0.
        members: (usize, usize),
    },
    /// A published port plus its offset is none.
    #[error("host port {declared} + {stride} x {instance} is beyond 65535")]
    PortOverflow {
        /// The port as declared.
        declared: Port,
        /// Added per instance.
        stride: u32,
        /// The instance's number.
        instance: u16,
    },
    /// A host port is taken.
    #[error("host port {port}/{protocol} is taken by {holder}")]
    PortTaken {
        /// The port.
        port: Port,
        /// Its protocol.
        protocol: Protocol,
        /// Who has it, in words.
        holder: String,
    },
}
