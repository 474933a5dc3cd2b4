//! What a rule is made of: conditions, then what to do.

use std::net::Ipv4Addr;

use crate::wire::Request;

/// `NF_CT_STATE_BIT(IP_CT_ESTABLISHED)`: packets of a connection that both sides know.
pub const ESTABLISHED: u32 = 1 << 1;
/// `NF_CT_STATE_BIT(IP_CT_RELATED)`: errors about one.
pub const RELATED: u32 = 1 << 2;
/// `IPS_DST_NAT`: connections whose destination was translated.
pub const DESTINATION_NAT: u32 = 1 << 5;

const LIST_ELEM: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;
const DATA_VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;
/// Registers (`NFT_REG_...`): where a verdict goes, and two of 16 bytes for values.
const REG_VERDICT: u32 = 0;
const REG_1: u32 = 1;
const REG_2: u32 = 2;
const IMMEDIATE_DREG: u16 = 1;
const IMMEDIATE_DATA: u16 = 2;
const CMP_SREG: u16 = 1;
const CMP_OP: u16 = 2;
const CMP_DATA: u16 = 3;
const CMP_EQ: u32 = 0;
const CMP_NEQ: u32 = 1;
const META_DREG: u16 = 1;
const META_KEY: u16 = 2;
const META_IIFNAME: u32 = 6;
const META_OIFNAME: u32 = 7;
const META_L4PROTO: u32 = 16;
const CT_DREG: u16 = 1;
const CT_KEY: u16 = 2;
const CT_STATE: u32 = 0;
const CT_STATUS: u32 = 2;
const CT_ZONE: u32 = 17;
const CT_DIRECTION: u16 = 3;
const CT_SREG: u16 = 4;
/// `IP_CT_DIR_ORIGINAL`.
const ORIGINAL: u8 = 0;
const BITWISE_SREG: u16 = 1;
const BITWISE_DREG: u16 = 2;
const BITWISE_LEN: u16 = 3;
const BITWISE_MASK: u16 = 4;
const BITWISE_XOR: u16 = 5;
const PAYLOAD_DREG: u16 = 1;
const PAYLOAD_BASE: u16 = 2;
const PAYLOAD_OFFSET: u16 = 3;
const PAYLOAD_LEN: u16 = 4;
/// `NFT_PAYLOAD_NETWORK_HEADER`, `NFT_PAYLOAD_TRANSPORT_HEADER`.
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
/// Offsets of addresses in the IPv4 header (RFC 791), and of the destination port in those of TCP and UDP.
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
const PORT: u32 = 2;
const FIB_DREG: u16 = 1;
const FIB_RESULT: u16 = 2;
const FIB_FLAGS: u16 = 3;
/// `NFT_FIB_RESULT_ADDRTYPE`.
const FIB_ADDRTYPE: u32 = 3;
/// `NFTA_FIB_F_DADDR`.
const FIB_DADDR: u32 = 1 << 1;
/// `RTN_LOCAL` (linux/rtnetlink.h).
const LOCAL: u32 = 2;
const NAT_TYPE: u16 = 1;
const NAT_FAMILY: u16 = 2;
const NAT_REG_ADDR_MIN: u16 = 3;
const NAT_REG_PROTO_MIN: u16 = 5;
/// `NFT_NAT_DNAT`.
const DNAT: u32 = 1;
/// `NF_DROP` and `NF_ACCEPT` (linux/netfilter.h).
const NF_DROP: i32 = 0;
const NF_ACCEPT: i32 = 1;
/// `NFT_JUMP`.
const NFT_JUMP: i32 = -3;

/// Which device of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The one it came in by.
    In,
    /// The one it leaves by.
    Out,
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It goes on; chains of later priority and other tables look at it, too.
    Accept,
    /// It is gone.
    Drop,
    /// The rules of another chain, and then those behind this one.
    Jump(&'a str),
}

/// A condition, or what to do when all conditions before it are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expression<'a> {
    /// The device's name begins with a text of at most 15 bytes.
    Device(Direction, &'a str),
    /// The device has this name, of at most 15 bytes.
    DeviceIs(Direction, &'a str),
    /// The device has another name.
    DeviceIsNot(Direction, &'a str),
    /// The source address begins with these bytes, 1 to 4: a network of as many times 8 bits.
    Source(&'a [u8]),
    /// The same of the destination.
    Destination(&'a [u8]),
    /// The destination is an address of this machine.
    DestinationIsLocal,
    /// The number of the protocol: 6 for TCP, 17 for UDP.
    Protocol(u8),
    /// The destination port; only behind [`Self::Protocol`].
    DestinationPort(u16),
    /// The connection is in one of these states: [`ESTABLISHED`], [`RELATED`].
    State(u32),
    /// Something of this has happened to the connection: [`DESTINATION_NAT`].
    Status(u32),
    /// The connection's first packet came in this zone, see [`Self::SetZone`].
    ZoneIs(u16),
    /// The packet's connection is another one than that of a packet of another zone with the same addresses and
    /// ports, as one that comes by a second time is; answers are looked for without a zone. In a chain of priority
    /// -300 only, before connections are tracked.
    SetZone(u16),
    /// Packets of the connection go to this address and port instead; in a chain of kind `nat` only, and only
    /// behind [`Self::Protocol`].
    TranslateDestination(Ipv4Addr, u16),
    /// Packets of the connection come from the address of the device that they leave by.
    Masquerade,
    /// What becomes of the packet.
    Verdict(Verdict<'a>),
}

impl Expression<'_> {
    /// Appends it to a list of expressions: most take two or three of the kernel's.
    pub(super) fn write(&self, list: &mut Request) {
        match *self {
            Self::Device(direction, prefix) => {
                let key = match direction {
                    Direction::In => META_IIFNAME,
                    Direction::Out => META_OIFNAME,
                };
                meta(list, key);
                compare(list, CMP_EQ, prefix.as_bytes());
            }
            Self::DeviceIs(direction, name) => device(list, direction, CMP_EQ, name),
            Self::DeviceIsNot(direction, name) => device(list, direction, CMP_NEQ, name),
            Self::Source(bytes) => payload(list, NETWORK_HEADER, SOURCE, bytes),
            Self::Destination(bytes) => payload(list, NETWORK_HEADER, DESTINATION, bytes),
            Self::DestinationIsLocal => {
                one(list, "fib", |data| {
                    data.be32(FIB_DREG, REG_1).be32(FIB_RESULT, FIB_ADDRTYPE).be32(FIB_FLAGS, FIB_DADDR);
                });
                compare(list, CMP_EQ, &LOCAL.to_ne_bytes());
            }
            Self::Protocol(number) => {
                meta(list, META_L4PROTO);
                compare(list, CMP_EQ, &[number]);
            }
            Self::DestinationPort(port) => payload(list, TRANSPORT_HEADER, PORT, &port.to_be_bytes()),
            Self::State(mask) => conntrack(list, CT_STATE, mask),
            Self::Status(mask) => conntrack(list, CT_STATUS, mask),
            Self::ZoneIs(zone) => {
                one(list, "ct", |data| {
                    data.be32(CT_KEY, CT_ZONE).be32(CT_DREG, REG_1).bytes(CT_DIRECTION, &[ORIGINAL]);
                });
                compare(list, CMP_EQ, &zone.to_ne_bytes());
            }
            Self::SetZone(zone) => {
                immediate(list, REG_1, &zone.to_ne_bytes());
                one(list, "ct", |data| {
                    data.be32(CT_KEY, CT_ZONE).be32(CT_SREG, REG_1).bytes(CT_DIRECTION, &[ORIGINAL]);
                });
            }
            Self::TranslateDestination(address, port) => {
                immediate(list, REG_1, &address.octets());
                immediate(list, REG_2, &port.to_be_bytes());
                one(list, "nat", |data| {
                    data.be32(NAT_TYPE, DNAT).be32(NAT_FAMILY, u32::from(super::IPV4));
                    data.be32(NAT_REG_ADDR_MIN, REG_1).be32(NAT_REG_PROTO_MIN, REG_2);
                });
            }
            Self::Masquerade => one(list, "masq", |_| {}),
            Self::Verdict(verdict) => {
                let (code, chain) = match verdict {
                    Verdict::Accept => (NF_ACCEPT, None),
                    Verdict::Drop => (NF_DROP, None),
                    Verdict::Jump(chain) => (NFT_JUMP, Some(chain)),
                };
                one(list, "immediate", |data| {
                    data.be32(IMMEDIATE_DREG, REG_VERDICT).nested(IMMEDIATE_DATA, |value| {
                        value.nested(DATA_VERDICT, |verdict| {
                            verdict.bytes(VERDICT_CODE, &code.to_be_bytes());
                            if let Some(chain) = chain {
                                verdict.text(VERDICT_CHAIN, chain);
                            }
                        });
                    });
                });
            }
        }
    }
}

fn one(list: &mut Request, name: &str, fill: impl FnOnce(&mut Request)) {
    list.nested(LIST_ELEM, |element| {
        element.text(EXPR_NAME, name).nested(EXPR_DATA, fill);
    });
}

fn meta(list: &mut Request, key: u32) {
    one(list, "meta", |data| {
        data.be32(META_KEY, key).be32(META_DREG, REG_1);
    });
}

/// The whole name: the register that it stands in is filled up with zeroes, of which one is compared (as iptables
/// writes it, which can show such rules).
fn device(list: &mut Request, direction: Direction, operation: u32, name: &str) {
    let key = match direction {
        Direction::In => META_IIFNAME,
        Direction::Out => META_OIFNAME,
    };
    meta(list, key);
    let mut whole = name.as_bytes().to_vec();
    whole.push(0);
    compare(list, operation, &whole);
}

fn compare(list: &mut Request, operation: u32, value: &[u8]) {
    one(list, "cmp", |data| {
        data.be32(CMP_SREG, REG_1).be32(CMP_OP, operation);
        data.nested(CMP_DATA, |it| {
            it.bytes(DATA_VALUE, value);
        });
    });
}

fn payload(list: &mut Request, base: u32, offset: u32, value: &[u8]) {
    one(list, "payload", |data| {
        data.be32(PAYLOAD_DREG, REG_1).be32(PAYLOAD_BASE, base).be32(PAYLOAD_OFFSET, offset);
        data.be32(PAYLOAD_LEN, u32::try_from(value.len()).unwrap_or(u32::MAX));
    });
    compare(list, CMP_EQ, value);
}

/// One of the bits is set.
fn conntrack(list: &mut Request, key: u32, mask: u32) {
    one(list, "ct", |data| {
        data.be32(CT_KEY, key).be32(CT_DREG, REG_1);
    });
    one(list, "bitwise", |data| {
        data.be32(BITWISE_SREG, REG_1).be32(BITWISE_DREG, REG_1).be32(BITWISE_LEN, 4);
        data.nested(BITWISE_MASK, |it| {
            it.bytes(DATA_VALUE, &mask.to_ne_bytes());
        });
        data.nested(BITWISE_XOR, |it| {
            it.bytes(DATA_VALUE, &[0; 4]);
        });
    });
    compare(list, CMP_NEQ, &[0; 4]);
}

fn immediate(list: &mut Request, register: u32, value: &[u8]) {
    one(list, "immediate", |data| {
        data.be32(IMMEDIATE_DREG, register).nested(IMMEDIATE_DATA, |it| {
            it.bytes(DATA_VALUE, value);
        });
    });
}
