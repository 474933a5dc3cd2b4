//! Names and marks of what this driver makes in the kernel.
//!
//! Namespaces carry the installation's id in their name. Devices need names that are unique within their
//! namespace only; whose they are stands in their alias.

use llcm_names::{DcName, InstallationId, Owner, PortId, SegmentId};

/// The prefix of an installation's namespaces.
pub(crate) fn namespace_prefix(installation: &InstallationId) -> String {
    format!("llcm-{installation}-")
}

/// What the tables of nf_tables of an installation's ports on the host begin with.
pub(crate) fn host_tables(installation: &InstallationId) -> String {
    format!("llcm-{installation}-sap-")
}

/// The namespace of a data center's ports, bridges and VXLAN devices.
pub(crate) fn overlay_namespace(installation: &InstallationId, dc: &DcName) -> String {
    format!("llcm-{installation}-{dc}")
}

/// The namespace of a data center's links.
pub(crate) fn underlay_namespace(installation: &InstallationId, dc: &DcName) -> String {
    format!("llcm-{installation}-{dc}{UNDERLAY}")
}

/// What an underlay's namespace ends in; no data center's name does.
pub(crate) const UNDERLAY: &str = ".ul";

/// The data center's side of a port.
pub(crate) fn port_device(port: PortId) -> String {
    format!("p{:x}", port.get())
}

/// A segment's bridge.
pub(crate) fn bridge(segment: SegmentId) -> String {
    format!("s{:x}", segment.get())
}

/// A segment's VXLAN device.
pub(crate) fn vxlan(segment: SegmentId) -> String {
    format!("v{:x}", segment.get())
}

/// The VXLAN device that carries what the leaves of an E-Tree sent.
pub(crate) fn leaf_vxlan(segment: SegmentId) -> String {
    format!("w{:x}", segment.get())
}

/// The VXLAN device without destinations that swallows what an E-Tree must not forward.
pub(crate) fn sink(segment: SegmentId) -> String {
    format!("x{:x}", segment.get())
}

/// The near side of the pair that takes one of several segments of a port to the segment's bridge; `index`
/// counts the port's segments.
pub(crate) fn branch(port: PortId, index: usize) -> String {
    format!("h{:x}.{index:x}", port.get())
}

/// What the near sides of all such pairs of a port begin with.
pub(crate) fn branch_prefix(port: PortId) -> String {
    format!("h{:x}.", port.get())
}

/// The bridge's side of such a pair.
pub(crate) fn branch_bridge_side(port: PortId, index: usize) -> String {
    format!("i{:x}.{index:x}", port.get())
}

/// What the names of a link's two devices begin with, one in each underlay: made of what the link is, so that a link
/// that comes to mean something else gets other devices.
pub(crate) fn link_device(name: &str, ends: [&DcName; 2]) -> String {
    let text = format!("{name}\0{}\0{}", ends[0], ends[1]);
    format!("l{:012x}", digest(text.as_bytes()) & 0xffff_ffff_ffff)
}

/// The hardware address of a link's device at one of the two ends, which nothing but the name decides.
pub(crate) fn link_mac(device: &str, end: usize) -> [u8; 6] {
    let [a, b, c, d, ..] = digest(device.as_bytes()).to_be_bytes();
    [0x02, a, b, c, d, u8::from(end == 1)]
}

/// The mark of a link's device: which end it is and the link's name, as much of it as an alias holds.
pub(crate) fn link_mark(installation: &InstallationId, end: usize, name: &str) -> String {
    let name: String = name
        .chars()
        .scan(0, |length, c| {
            *length += c.len_utf8();
            (*length <= 220).then_some(c)
        })
        .collect();
    format!("llcm:{installation}:link:{end}:{name}")
}

/// Reads [`link_mark`]: the end and the link's name.
pub(crate) fn parse_link_mark(installation: &InstallationId, alias: &str) -> Option<(usize, String)> {
    let rest = alias.strip_prefix(&format!("llcm:{installation}:link:"))?;
    let (end, name) = rest.split_once(':')?;
    Some((end.parse().ok().filter(|end| *end < 2)?, name.to_owned()))
}

/// What a marked device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// A port, with a digest of its spec.
    Port(PortId, u64),
    /// A part of a port that is on several segments.
    Branch(PortId),
    /// A part of a segment.
    Segment(SegmentId),
}

/// The alias of a device.
pub(crate) fn mark(owner: &Owner, role: &Role) -> String {
    let owner = owner.mark();
    match role {
        Role::Port(id, digest) => format!("{owner}:p{:x}:{digest:016x}", id.get()),
        Role::Branch(id) => format!("{owner}:h{:x}", id.get()),
        Role::Segment(id) => format!("{owner}:s{:x}", id.get()),
    }
}

/// Reads [`mark`]; `None` for what carries no mark of ours.
pub(crate) fn parse_mark(alias: &str) -> Option<(Owner, Role)> {
    let owner = Owner::parse_mark(alias).ok()?;
    let mut parts = alias.split(':').skip(3);
    let what = parts.next()?;
    let number = u32::from_str_radix(what.get(1..)?, 16).ok()?;
    let role = match what.as_bytes().first()? {
        b'p' => Role::Port(PortId::new(number), u64::from_str_radix(parts.next()?, 16).ok()?),
        b'h' => Role::Branch(PortId::new(number)),
        b's' => Role::Segment(SegmentId::try_from(number).ok()?),
        _ => return None,
    };
    Some((owner, role))
}

/// FNV-1a, 64 bits: short, and the same in every build, which a mark that outlives the program needs.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ids_fit_interface_names() {
        let port = PortId::new(u32::MAX);
        let names = [
            port_device(port),
            bridge(SegmentId::MAX),
            branch(port, 0xfff),
            branch_bridge_side(port, 0xfff),
            link_device("a", [&DcName::parse("b").unwrap(), &DcName::parse("c").unwrap()]),
        ];
        for name in names {
            assert!(name.len() <= 15, "{name}");
        }
    }

    #[test]
    fn marks_are_read_back_and_others_are_not() {
        let owner = Owner {
            installation: InstallationId::from_bits(7),
            instance: "0123abcd-0000-4000-8000-000000000000".parse().unwrap(),
        };
        for role in [
            Role::Port(PortId::new(u32::MAX), u64::MAX),
            Role::Branch(PortId::new(1)),
            Role::Segment(SegmentId::MAX),
        ] {
            assert_eq!(parse_mark(&mark(&owner, &role)), Some((owner.clone(), role)));
        }
        assert_eq!(parse_mark("llcm:00000007:link:0:dc1-dc2"), None);
        assert_eq!(parse_mark(&format!("{}:zz", owner.mark())), None);
        let link = link_mark(&owner.installation, 1, "a:b");
        assert_eq!(parse_link_mark(&owner.installation, &link), Some((1, "a:b".to_owned())));
        assert!(link_mark(&owner.installation, 1, &"ä".repeat(300)).len() < 256);
    }
}
