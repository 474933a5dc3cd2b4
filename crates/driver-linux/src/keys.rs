//! From a chain's match to words of frames, as `u32` filters look at them. Pure.
//!
//! Every word stands behind those that tell that the frame has it, for the kernel gives up all filters of a priority at
//! a frame that ends before a word. Ports stand behind a header whose length the frame says; a filter cannot compute
//! with it, so there is one filter for each length that IPv4's header can have.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use llcm_netlink::tc::{Match, Word};
use llcm_runtime::frame_match::{ARP, IPV4, IPV6};
use llcm_runtime::{FrameMatch, MaskedMac};

/// Where the receiver's address is, counted from the network header.
const RECEIVER: i32 = -14;
/// Where the sender's is.
const SENDER: i32 = -8;
/// The lengths that IPv4's header can have, in words of four bytes (RFC 791, section 3.1).
const IPV4_WORDS: std::ops::RangeInclusive<u8> = 5..=15;

/// The filters that take just the frames that a match admits; of several any will do.
pub(crate) fn of(matches: &FrameMatch) -> Vec<Match> {
    if matches.is_all() {
        return vec![Match::All];
    }
    let mut words = Vec::new();
    mac(&mut words, RECEIVER, matches.destination_mac());
    mac(&mut words, SENDER, matches.source_mac());
    if let Some(kind) = matches.ethertype() {
        // The last four bytes of the MAC header, which every frame has.
        words.push(word(-4, 0xffff, u32::from(kind)));
    }
    let protocol = matches.protocol().map(u32::from);
    let addresses = |words: &mut Vec<Word>, source: i32, destination: i32| {
        network(words, source, matches.source());
        network(words, destination, matches.destination());
    };
    let mut ports = 0;
    match matches.ethertype() {
        Some(IPV4) => {
            words.extend(protocol.map(|protocol| word(8, 0x00ff_0000, protocol << 16)));
            addresses(&mut words, 12, 16);
            if matches.source_port().or(matches.destination_port()).is_some() {
                // The first fragment, or the only one.
                words.push(word(4, 0x1fff, 0));
                return IPV4_WORDS.map(|length| with_ports_behind(&words, length, matches)).collect();
            }
        }
        Some(IPV6) => {
            words.extend(protocol.map(|protocol| word(4, 0xff00, protocol << 8)));
            addresses(&mut words, 8, 24);
            ports = 40;
        }
        Some(ARP) => {
            words.extend(protocol.map(|operation| word(4, 0xffff, operation)));
            addresses(&mut words, 14, 24);
        }
        _ => {}
    }
    words.extend(port_word(ports, matches));
    vec![Match::Words(words)]
}

fn with_ports_behind(words: &[Word], length: u8, matches: &FrameMatch) -> Match {
    let mut words = words.to_vec();
    words.push(word(0, 0x0f00_0000, u32::from(length) << 24));
    words.extend(port_word(i32::from(length) * 4, matches));
    Match::Words(words)
}

fn port_word(at: i32, matches: &FrameMatch) -> Option<Word> {
    let (source, destination) = (matches.source_port(), matches.destination_port());
    source.or(destination)?;
    let part = |port: Option<u16>| port.map_or((0, 0), |port| (0xffff, u32::from(port)));
    let ((source_mask, source), (mask, destination)) = (part(source), part(destination));
    Some(word(at, source_mask << 16 | mask, source << 16 | destination))
}

fn mac(words: &mut Vec<Word>, at: i32, mac: Option<MaskedMac>) {
    let Some(MaskedMac { value, mask }) = mac else { return };
    let first = |bytes: [u8; 6]| u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let last = |bytes: [u8; 6]| u32::from_be_bytes([0, 0, bytes[4], bytes[5]]);
    words.push(word(at, first(mask), first(value)));
    words.push(word(at + 2, last(mask), last(value)));
}

fn network(words: &mut Vec<Word>, at: i32, network: Option<IpNetwork>) {
    let Some(network) = network else { return };
    let bytes = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let (value, mask) = (bytes(network.ip()), bytes(network.mask()));
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    for (offset, (value, mask)) in (at..).step_by(4).zip(value.chunks(4).zip(mask.chunks(4))) {
        if number(mask) != 0 {
            words.push(word(offset, number(mask), number(value)));
        }
    }
}

fn word(offset: i32, mask: u32, value: u32) -> Word {
    Word { offset, mask, value }
}

#[cfg(test)]
mod tests;
