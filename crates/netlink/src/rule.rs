//! Policy rules: which routing table is asked for which packets (linux/fib_rules.h).

use std::net::Ipv4Addr;

use crate::address::AF_INET;
use crate::socket::{NetlinkError, Socket};
use crate::wire::{CREATE, EXCL, Request};

const RTM_NEWRULE: u16 = 32;
const FRA_SRC: u16 = 2;
const FRA_TABLE: u16 = 15;
/// `FR_ACT_TO_TBL`.
const TO_TABLE: u8 = 1;

/// Packets from an address of this namespace are routed by a table, 1 to 252; a rule that is there is left.
pub fn add_from(socket: &mut Socket, from: Ipv4Addr, table: u8) -> Result<(), NetlinkError> {
    let mut request = Request::new(RTM_NEWRULE, CREATE | EXCL);
    // `struct fib_rule_hdr`: family, lengths of destination and source, service, table, reserved, action, flags.
    request.raw(&[AF_INET, 0, 32, 0, table, 0, 0, TO_TABLE]).raw(&[0; 4]);
    request.bytes(FRA_SRC, &from.octets()).u32(FRA_TABLE, u32::from(table));
    match socket.call(&mut request) {
        Err(error) if error.is_present() => Ok(()),
        other => other,
    }
}
