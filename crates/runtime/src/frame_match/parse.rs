//! The text of a match, read strictly: what is not understood is refused with its column.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::IpNetwork;
use thiserror::Error;

use super::{ARP, FrameMatch, IPV4, IPV6, MaskedMac, network_of};

/// The longest text that is read, in bytes.
pub const LONGEST: usize = 1024;

/// A text that is no match.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("column {column}: {message}")]
pub struct MatchError {
    /// Where, in characters from 1 on.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a field is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    SourceMac,
    DestinationMac,
    Ethertype,
    Protocol,
    Source,
    Destination,
    SourceIpv6,
    DestinationIpv6,
    /// A port; with the protocol that the field's name implies.
    SourcePort(Option<u8>),
    DestinationPort(Option<u8>),
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

/// The names of OpenFlow 1.0 and those of later versions.
const FIELDS: &[(&str, Field)] = &[
    ("dl_src", Field::SourceMac),
    ("eth_src", Field::SourceMac),
    ("dl_dst", Field::DestinationMac),
    ("eth_dst", Field::DestinationMac),
    ("dl_type", Field::Ethertype),
    ("eth_type", Field::Ethertype),
    ("nw_proto", Field::Protocol),
    ("ip_proto", Field::Protocol),
    ("nw_src", Field::Source),
    ("ipv4_src", Field::Source),
    ("nw_dst", Field::Destination),
    ("ipv4_dst", Field::Destination),
    ("ipv6_src", Field::SourceIpv6),
    ("ipv6_dst", Field::DestinationIpv6),
    ("tp_src", Field::SourcePort(None)),
    ("tcp_src", Field::SourcePort(Some(TCP))),
    ("udp_src", Field::SourcePort(Some(UDP))),
    ("sctp_src", Field::SourcePort(Some(SCTP))),
    ("tp_dst", Field::DestinationPort(None)),
    ("tcp_dst", Field::DestinationPort(Some(TCP))),
    ("udp_dst", Field::DestinationPort(Some(UDP))),
    ("sctp_dst", Field::DestinationPort(Some(SCTP))),
];

/// Fields that exist elsewhere, each with the reason why not here.
const NOT_HERE: &[(&str, &str)] = &[
    ("dl_vlan", "the kernel takes VLAN tags off before its filters see a frame"),
    ("vlan_vid", "the kernel takes VLAN tags off before its filters see a frame"),
    ("dl_vlan_pcp", "the kernel takes VLAN tags off before its filters see a frame"),
    ("vlan_pcp", "the kernel takes VLAN tags off before its filters see a frame"),
    ("in_port", "the source says it"),
];

/// A field of the text, not yet checked against the others.
struct Given<'a> {
    name: &'a str,
    field: Field,
    column: usize,
}

impl FromStr for FrameMatch {
    type Err = MatchError;

    /// Reads `field=value,...`; blanks around fields and values are left out, and nothing at all means every frame.
    fn from_str(text: &str) -> Result<Self, MatchError> {
        if text.len() > LONGEST {
            return Err(error(LONGEST + 1, format!("a match has at most {LONGEST} bytes")));
        }
        let mut read = Self::default();
        let mut given: Vec<Given<'_>> = Vec::new();
        if text.trim().is_empty() {
            return Ok(read);
        }
        let mut column = 1;
        for part in text.split(',') {
            let blanks = part.chars().take_while(|c| c.is_whitespace()).count();
            let field = read_field(&mut read, &given, part.trim(), column + blanks)?;
            given.push(field);
            column += part.chars().count() + 1;
        }
        for one in &given {
            check_needs(&read, one)?;
        }
        Ok(read)
    }
}

fn error(column: usize, message: impl Into<String>) -> MatchError {
    MatchError { column, message: message.into() }
}

fn read_field<'a>(
    read: &mut FrameMatch,
    given: &[Given<'_>],
    part: &'a str,
    column: usize,
) -> Result<Given<'a>, MatchError> {
    if part.is_empty() {
        return Err(error(column, "a field is missing: write `field=value`, separated by commas"));
    }
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    let name = name.trim_end();
    let Some((known, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
        return Err(error(column, unknown(name)));
    };
    if !part.contains('=') {
        return Err(error(column, format!("`{name}` has no value: write `{name}=value`")));
    }
    if let Some(before) = given.iter().find(|before| same(before.field, *field)) {
        let message = if before.name == name {
            format!("`{name}` is given twice")
        } else {
            format!("`{name}` and `{}` are one field", before.name)
        };
        return Err(error(column, message));
    }
    let before = part.split_once('=').map_or(0, |(before, _)| before.chars().count() + 1);
    let blanks = value.chars().take_while(|c| c.is_whitespace()).count();
    let at = column + before + blanks;
    set(read, *field, value.trim()).map_err(|message| error(at, format!("`{known}`: {message}")))?;
    Ok(Given { name, field: *field, column })
}

fn unknown(name: &str) -> String {
    if let Some((_, why)) = NOT_HERE.iter().find(|(known, _)| *known == name) {
        return format!("`{name}` cannot be matched: {why}");
    }
    let shown: String = name.chars().take(32).collect();
    let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
    format!("there is no field `{}`; known are {}", shown.escape_debug(), known.join(", "))
}

/// Whether two fields are one, or exclude one another.
fn same(one: Field, other: Field) -> bool {
    use Field::{Destination, DestinationIpv6, DestinationPort, Source, SourceIpv6, SourcePort};
    match (one, other) {
        (SourcePort(_), SourcePort(_)) | (DestinationPort(_), DestinationPort(_)) => true,
        (Source | SourceIpv6, Source | SourceIpv6) => true,
        (Destination | DestinationIpv6, Destination | DestinationIpv6) => true,
        (one, other) => one == other,
    }
}

fn set(read: &mut FrameMatch, field: Field, value: &str) -> Result<(), String> {
    match field {
        Field::SourceMac => read.source_mac = Some(mac(value)?),
        Field::DestinationMac => read.destination_mac = Some(mac(value)?),
        Field::Ethertype => read.ethertype = Some(ethertype(value)?),
        Field::Protocol => read.protocol = Some(number(value, "0 to 255")?),
        Field::Source => read.source = Some(network::<Ipv4Addr>(value, "an IPv4")?),
        Field::Destination => read.destination = Some(network::<Ipv4Addr>(value, "an IPv4")?),
        Field::SourceIpv6 => read.source = Some(network::<Ipv6Addr>(value, "an IPv6")?),
        Field::DestinationIpv6 => read.destination = Some(network::<Ipv6Addr>(value, "an IPv6")?),
        Field::SourcePort(_) => read.source_port = Some(number(value, "0 to 65535")?),
        Field::DestinationPort(_) => read.destination_port = Some(number(value, "0 to 65535")?),
    }
    Ok(())
}

/// A number, decimal or hexadecimal with `0x`.
fn number<T: TryFrom<u32>>(value: &str, range: &str) -> Result<T, String> {
    let digits = |text: &str, radix| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if plain { u32::from_str_radix(text, radix).ok() } else { None }
    };
    let read = match value.strip_prefix("0x").or_else(|| value.strip_prefix("0X")) {
        Some(hexadecimal) => digits(hexadecimal, 16),
        None => digits(value, 10),
    };
    let fits = read.and_then(|number| T::try_from(number).ok());
    fits.ok_or_else(|| {
        format!("a number from {range} is expected, decimal or as 0x..., not {}", quoted(value))
    })
}

fn ethertype(value: &str) -> Result<u16, String> {
    let kind: u16 = number(value, "0x0600 to 0xffff")?;
    match kind {
        0..0x0600 => Err(format!("types of frames begin with 0x0600; {} is a length", quoted(value))),
        0x8100 | 0x88a8 => {
            Err("the kernel takes VLAN tags off before its filters see a frame; give the type behind the tag"
                .to_owned())
        }
        kind => Ok(kind),
    }
}

fn mac(value: &str) -> Result<MaskedMac, String> {
    let read = |text: &str| {
        octets(text)
            .ok_or_else(|| format!("a MAC address as 02:00:00:00:00:01 is expected, not {}", quoted(text)))
    };
    let (value, mask) = match value.split_once('/') {
        Some((value, mask)) => (read(value)?, read(mask)?),
        None => (read(value)?, [0xff; 6]),
    };
    if (0..6).any(|i| value[i] & !mask[i] != 0) {
        return Err("bits are set that the mask leaves out".to_owned());
    }
    Ok(MaskedMac { value, mask })
}

/// The bytes of a MAC address, which may be a group's here.
fn octets(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let part =
            parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(octets)
}

fn network<A: FromStr + Into<IpAddr>>(value: &str, kind: &str) -> Result<IpNetwork, String> {
    let expected = || {
        format!(
            "{kind} address, perhaps with `/` and the prefix's length, is expected, not {}",
            quoted(value)
        )
    };
    let (address, mask) = match value.split_once('/') {
        Some((address, mask)) => (address, Some(mask)),
        None => (value, None),
    };
    let ip: IpAddr = address.parse::<A>().map_err(|_| expected())?.into();
    let whole = if ip.is_ipv4() { 32 } else { 128 };
    let prefix = match mask {
        None => whole,
        Some(mask) => prefix(mask, whole).ok_or_else(expected)?,
    };
    network_of(ip, prefix)
        .ok_or_else(|| format!("{} has bits set behind its prefix of {prefix} bits", quoted(value)))
}

/// `24`, or, of IPv4, `255.255.255.0`.
fn prefix(mask: &str, whole: u8) -> Option<u8> {
    if let Ok(mask) = mask.parse::<Ipv4Addr>()
        && whole == 32
    {
        return ipnetwork::ipv4_mask_to_prefix(mask).ok();
    }
    let plain = (1..=3).contains(&mask.len()) && mask.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| mask.parse().ok()).flatten().filter(|prefix| *prefix <= whole)
}

fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(64).collect();
    format!("`{}`", shown.escape_debug())
}

/// What fields depend on is there: without it, they would match something else than what was meant.
fn check_needs(read: &FrameMatch, given: &Given<'_>) -> Result<(), MatchError> {
    let kind = read.ethertype;
    let ip = matches!(kind, Some(IPV4 | IPV6));
    let fail = |needs: &str| {
        Err(error(given.column, format!("`{}` needs {needs} before it means anything", given.name)))
    };
    match given.field {
        Field::SourceMac | Field::DestinationMac | Field::Ethertype => Ok(()),
        Field::Protocol if ip || kind == Some(ARP) => Ok(()),
        Field::Protocol => fail("`dl_type=0x0800`, `dl_type=0x86dd` or `dl_type=0x0806`"),
        Field::Source | Field::Destination if matches!(kind, Some(IPV4 | ARP)) => Ok(()),
        Field::Source | Field::Destination => fail("`dl_type=0x0800` or `dl_type=0x0806`"),
        Field::SourceIpv6 | Field::DestinationIpv6 if kind == Some(IPV6) => Ok(()),
        Field::SourceIpv6 | Field::DestinationIpv6 => fail("`dl_type=0x86dd`"),
        Field::SourcePort(_) | Field::DestinationPort(_) if !ip => {
            fail("`dl_type=0x0800` or `dl_type=0x86dd`")
        }
        Field::SourcePort(wanted) | Field::DestinationPort(wanted) => match (wanted, read.protocol) {
            (None, Some(TCP | UDP | SCTP)) => Ok(()),
            (Some(wanted), Some(protocol)) if wanted == protocol => Ok(()),
            (Some(wanted), _) => fail(&format!("`nw_proto={wanted}`")),
            (None, _) => fail("`nw_proto=6`, `nw_proto=17` or `nw_proto=132`"),
        },
    }
}
