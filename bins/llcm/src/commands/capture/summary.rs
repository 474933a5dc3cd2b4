//! A frame in a line, where there is no tcpdump to tell more.

use std::net::{Ipv4Addr, Ipv6Addr};

use llcm_runtime::Direction;

use super::pcap::Frame;

/// `12:00:00.000000007 > 10.0.0.1 10.0.0.2 ICMP echo request, 98 bytes`: the time of day (UTC), `>` for what was sent and
/// `<` for what was received, from, to, what.
pub(super) fn line(frame: &Frame) -> String {
    let seconds = frame.at_ns / 1_000_000_000 % 86_400;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let nanoseconds = frame.at_ns % 1_000_000_000;
    let way = if frame.direction == Direction::Sent { '>' } else { '<' };
    let what = ethernet(&frame.bytes).unwrap_or_else(|| "cut short".to_owned());
    format!("{hours:02}:{minutes:02}:{seconds:02}.{nanoseconds:09} {way} {what}, {} bytes", frame.length)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn ethernet(bytes: &[u8]) -> Option<String> {
    let (mut at, mut tags) = (12, String::new());
    let mut kind = half(bytes, at)?;
    while matches!(kind, 0x8100 | 0x88a8) {
        tags += &format!("VLAN {} ", half(bytes, at + 2)? & 0x0fff);
        at += 4;
        kind = half(bytes, at)?;
    }
    let rest = bytes.get(at + 2..)?;
    let mac = |at: usize| {
        let octets = bytes.get(at..at + 6).unwrap_or_default().iter();
        octets.map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
    };
    let what = match kind {
        0x0800 => ipv4(rest),
        0x86dd => ipv6(rest),
        0x0806 => arp(rest),
        _ => None,
    };
    Some(tags + &what.unwrap_or_else(|| format!("{} {} type {kind:#06x}", mac(6), mac(0))))
}

fn ipv4(bytes: &[u8]) -> Option<String> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
    let (from, to) = (address(12)?, address(16)?);
    let header = usize::from(bytes.first()? & 0x0f) * 4;
    // Of later fragments the ports are not there.
    if half(bytes, 6)? & 0x1fff != 0 {
        return Some(format!("{from} {to} fragment"));
    }
    Some(format!("{from} {to} {}", transport(*bytes.get(9)?, bytes.get(header..)?)))
}

fn ipv6(bytes: &[u8]) -> Option<String> {
    let address = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.get(at..at + 16)?).ok()?));
    Some(format!("{} {} {}", address(8)?, address(24)?, transport(*bytes.get(6)?, bytes.get(40..)?)))
}

fn transport(protocol: u8, bytes: &[u8]) -> String {
    let ports = |name: &str| match (half(bytes, 0), half(bytes, 2)) {
        (Some(from), Some(to)) => format!("{name} {from} to {to}"),
        _ => name.to_owned(),
    };
    match (protocol, bytes.first()) {
        (1, Some(8)) | (58, Some(128)) => "ICMP echo request".to_owned(),
        (1, Some(0)) | (58, Some(129)) => "ICMP echo reply".to_owned(),
        (1 | 58, Some(kind)) => format!("ICMP type {kind}"),
        (6, _) => ports("TCP"),
        (17, _) => ports("UDP"),
        (132, _) => ports("SCTP"),
        _ => format!("protocol {protocol}"),
    }
}

fn arp(bytes: &[u8]) -> Option<String> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
    let what = if half(bytes, 6)? == 1 { "ARP who has" } else { "ARP is at" };
    Some(format!("{} {} {what}", address(14)?, address(24)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: &[u8], rest: &[u8]) -> String {
        let bytes = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], kind, rest].concat();
        let frame = Frame { at_ns: 45_296_000_000_007, direction: Direction::Received, length: 60, bytes };
        line(&frame)
    }

    #[test]
    fn frames_are_told_by_what_is_in_them() {
        let ip = |protocol: u8, rest: &[u8]| {
            let header = [0x45, 0, 0, 84, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
            [&header, rest].concat()
        };
        let head = "12:34:56.000000007 < ";
        for (kind, rest, expected) in [
            (&[0x08, 0x00][..], ip(1, &[8, 0]), "10.0.0.1 10.0.0.2 ICMP echo request"),
            (&[0x08, 0x00], ip(17, &[0, 53, 4, 0]), "10.0.0.1 10.0.0.2 UDP 53 to 1024"),
            (&[0x81, 0x00, 0x20, 0x64, 0x08, 0x00], ip(6, &[]), "VLAN 100 10.0.0.1 10.0.0.2 TCP"),
            (&[0x88, 0xcc], Vec::new(), "02:00:00:00:00:02 02:00:00:00:00:01 type 0x88cc"),
            (&[0x08, 0x00], vec![0x45], "02:00:00:00:00:02 02:00:00:00:00:01 type 0x0800"),
            (&[], Vec::new(), "cut short"),
        ] {
            assert_eq!(told(kind, &rest), format!("{head}{expected}, 60 bytes"));
        }
    }
}
