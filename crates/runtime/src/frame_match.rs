//! Which frames a chain takes: a subset of OpenFlow's match fields, with their names and their meaning.
//!
//! The text form is `field=value,field=value`, as the originals' clients write it; the parser ([`parse`]) is the only
//! constructor, so a match that exists makes sense: no field without those that it depends on, no value out of range.
//! `Display` gives the canonical text, which is also the serialised form.
//!
//! ```
//! use llcm_runtime::FrameMatch;
//!
//! let web: FrameMatch = "eth_type=2048, ip_proto=6, tcp_dst=80".parse().unwrap();
//! assert_eq!(web.to_string(), "dl_type=0x0800,nw_proto=6,tp_dst=80");
//! let error = "dl_type=0x0800,tcp_dst=80".parse::<FrameMatch>().unwrap_err();
//! assert_eq!(error.to_string(), "column 16: `tcp_dst` needs `nw_proto=6` before it means anything");
//! ```

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use serde::{Deserialize, Serialize};

pub mod parse;
#[cfg(test)]
mod tests;

pub use parse::{LONGEST, MatchError};

/// The EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// The EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// The EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;

/// Which frames; the default: all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FrameMatch {
    pub(super) source_mac: Option<MaskedMac>,
    pub(super) destination_mac: Option<MaskedMac>,
    pub(super) ethertype: Option<u16>,
    pub(super) protocol: Option<u8>,
    pub(super) source: Option<IpNetwork>,
    pub(super) destination: Option<IpNetwork>,
    pub(super) source_port: Option<u16>,
    pub(super) destination_port: Option<u16>,
}

/// Some bits of a MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaskedMac {
    /// The bits; those outside of the mask are 0.
    pub value: [u8; 6],
    /// Which bits count.
    pub mask: [u8; 6],
}

impl FrameMatch {
    /// Whether it takes every frame.
    #[must_use]
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// `dl_src`.
    #[must_use]
    pub fn source_mac(&self) -> Option<MaskedMac> {
        self.source_mac
    }

    /// `dl_dst`.
    #[must_use]
    pub fn destination_mac(&self) -> Option<MaskedMac> {
        self.destination_mac
    }

    /// `dl_type`; behind a VLAN tag, if there is one.
    #[must_use]
    pub fn ethertype(&self) -> Option<u16> {
        self.ethertype
    }

    /// `nw_proto`: IPv4's protocol, IPv6's next header, ARP's operation.
    #[must_use]
    pub fn protocol(&self) -> Option<u8> {
        self.protocol
    }

    /// `nw_src`, `ipv6_src`: of IP, or the sender's address in ARP.
    #[must_use]
    pub fn source(&self) -> Option<IpNetwork> {
        self.source
    }

    /// `nw_dst`, `ipv6_dst`: of IP, or the target's address in ARP.
    #[must_use]
    pub fn destination(&self) -> Option<IpNetwork> {
        self.destination
    }

    /// `tp_src`.
    #[must_use]
    pub fn source_port(&self) -> Option<u16> {
        self.source_port
    }

    /// `tp_dst`.
    #[must_use]
    pub fn destination_port(&self) -> Option<u16> {
        self.destination_port
    }

    /// Whether it takes a frame, given from its receiver's address on, without checksum. One VLAN tag is passed
    /// over. A field that lies behind the frame's end does not match.
    #[must_use]
    pub fn admits(&self, frame: &[u8]) -> bool {
        self.admit(frame).is_some()
    }

    fn admit(&self, frame: &[u8]) -> Option<()> {
        let mac = |wanted: Option<MaskedMac>, at: usize| match wanted {
            None => Some(()),
            Some(wanted) => {
                let seen = frame.get(at..at + 6)?;
                let same = (0..6).all(|i| seen[i] & wanted.mask[i] == wanted.value[i]);
                same.then_some(())
            }
        };
        mac(self.destination_mac, 0)?;
        mac(self.source_mac, 6)?;
        let Some(wanted) = self.ethertype else { return Some(()) };
        let tagged = matches!(word(frame, 12)?, 0x8100 | 0x88a8);
        let payload = if tagged { 18 } else { 14 };
        let ethertype = word(frame, payload - 2)?;
        let payload = frame.get(payload..)?;
        (ethertype == wanted).then_some(())?;
        match wanted {
            IPV4 => self.admit_ipv4(payload),
            IPV6 => self.admit_ipv6(payload),
            ARP => self.admit_arp(payload),
            _ => Some(()),
        }
    }

    fn admit_ipv4(&self, packet: &[u8]) -> Option<()> {
        equal(self.protocol, || packet.get(9).copied())?;
        within_v4(self.source, packet, 12)?;
        within_v4(self.destination, packet, 16)?;
        if self.source_port.or(self.destination_port).is_none() {
            return Some(());
        }
        // Only the first fragment has ports.
        (word(packet, 6)? & 0x1fff == 0).then_some(())?;
        let header = usize::from(packet.first()? & 0xf) * 4;
        if header < 20 {
            return None;
        }
        self.admit_ports(packet, header)
    }

    fn admit_ipv6(&self, packet: &[u8]) -> Option<()> {
        equal(self.protocol, || packet.get(6).copied())?;
        within_v6(self.source, packet, 8)?;
        within_v6(self.destination, packet, 24)?;
        self.admit_ports(packet, 40)
    }

    fn admit_arp(&self, packet: &[u8]) -> Option<()> {
        equal(self.protocol.map(u16::from), || word(packet, 6))?;
        within_v4(self.source, packet, 14)?;
        within_v4(self.destination, packet, 24)
    }

    fn admit_ports(&self, packet: &[u8], at: usize) -> Option<()> {
        equal(self.source_port, || word(packet, at))?;
        equal(self.destination_port, || word(packet, at + 2))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn equal<T: PartialEq>(wanted: Option<T>, seen: impl FnOnce() -> Option<T>) -> Option<()> {
    match wanted {
        None => Some(()),
        Some(wanted) => (seen()? == wanted).then_some(()),
    }
}

fn within_v4(wanted: Option<IpNetwork>, bytes: &[u8], at: usize) -> Option<()> {
    let Some(wanted) = wanted else { return Some(()) };
    let seen: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    wanted.contains(Ipv4Addr::from(seen).into()).then_some(())
}

fn within_v6(wanted: Option<IpNetwork>, bytes: &[u8], at: usize) -> Option<()> {
    let Some(wanted) = wanted else { return Some(()) };
    let seen: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    wanted.contains(Ipv6Addr::from(seen).into()).then_some(())
}

impl std::fmt::Display for MaskedMac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |mac: [u8; 6]| mac.map(|byte| format!("{byte:02x}")).join(":");
        f.write_str(&text(self.value))?;
        if self.mask == [0xff; 6] { Ok(()) } else { write!(f, "/{}", text(self.mask)) }
    }
}

/// `10.0.0.1`, `10.0.0.0/8`: a whole address without the length of its prefix.
struct Network(IpNetwork);

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = if self.0.is_ipv4() { 32 } else { 128 };
        if self.0.prefix() == whole { write!(f, "{}", self.0.ip()) } else { write!(f, "{}", self.0) }
    }
}

impl std::fmt::Display for FrameMatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let network = |name: &'static str, six: &'static str, value: Option<IpNetwork>| {
            value.map(|value| (if value.is_ipv4() { name } else { six }, Network(value).to_string()))
        };
        let fields = [
            self.source_mac.map(|mac| ("dl_src", mac.to_string())),
            self.destination_mac.map(|mac| ("dl_dst", mac.to_string())),
            self.ethertype.map(|kind| ("dl_type", format!("{kind:#06x}"))),
            self.protocol.map(|protocol| ("nw_proto", protocol.to_string())),
            network("nw_src", "ipv6_src", self.source),
            network("nw_dst", "ipv6_dst", self.destination),
            self.source_port.map(|port| ("tp_src", port.to_string())),
            self.destination_port.map(|port| ("tp_dst", port.to_string())),
        ];
        let mut separator = "";
        for (name, value) in fields.into_iter().flatten() {
            write!(f, "{separator}{name}={value}")?;
            separator = ",";
        }
        Ok(())
    }
}

impl From<FrameMatch> for String {
    fn from(matches: FrameMatch) -> Self {
        matches.to_string()
    }
}

impl TryFrom<String> for FrameMatch {
    type Error = MatchError;

    fn try_from(text: String) -> Result<Self, MatchError> {
        text.parse()
    }
}

/// The network that a whole address or a prefix stands for; `None` where bits behind the prefix are set.
fn network_of(ip: std::net::IpAddr, prefix: u8) -> Option<IpNetwork> {
    match ip {
        std::net::IpAddr::V4(ip) => {
            Ipv4Network::new(ip, prefix).ok().filter(|it| it.network() == ip).map(IpNetwork::V4)
        }
        std::net::IpAddr::V6(ip) => {
            Ipv6Network::new(ip, prefix).ok().filter(|it| it.network() == ip).map(IpNetwork::V6)
        }
    }
}
