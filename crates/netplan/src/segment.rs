//! Segments: which shape a link gets, and which address each member.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::{IpNetwork, Ipv4Network};

use crate::error::NetplanError;
use crate::hosts::{host, host_capacity, index_of};

/// The shape of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Two members, point to point; its subnet comes from the E-Line pool.
    Line,
    /// Any number of members, any to any; its subnet comes from the E-LAN pool.
    Lan,
    /// As a LAN, but leaves reach roots only.
    Tree,
}

/// The shape of an E-Line (`line`), of an E-Tree that names `roots`, or of anything else, with that many
/// declared endpoints: an E-Line with more than two is a LAN, an E-Tree without roots as well.
#[must_use]
pub fn shape(line: bool, roots: usize, endpoints: usize) -> Shape {
    match (line, roots) {
        (true, _) if endpoints <= 2 => Shape::Line,
        (true, _) | (false, 0) => Shape::Lan,
        (false, _) => Shape::Tree,
    }
}

/// Gives each member its address: the static one it has, else a host of the subnet. Hosts are given in the
/// order of the members from number 1 on, past those that static addresses occupy; in a segment of two, the
/// second member's is number 2 where that is free, so that an E-Line's ends have the same addresses whether
/// or not the other end is static.
///
/// # Errors
/// [`NetplanError::AddressTwice`] and [`NetplanError::SubnetFull`].
pub fn address_members(
    subnet: Ipv4Network,
    members: &[Option<IpNetwork>],
) -> Result<Vec<IpNetwork>, NetplanError> {
    let mut taken: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let mut occupied = std::collections::BTreeSet::new();
    for (position, address) in members.iter().enumerate() {
        let Some(address) = address else { continue };
        if let Some(&other) = taken.get(&address.ip()) {
            return Err(NetplanError::AddressTwice { address: address.ip(), members: (other, position) });
        }
        taken.insert(address.ip(), position);
        if let IpAddr::V4(address) = address.ip() {
            occupied.extend(index_of(subnet, address));
        }
    }
    let mut next = 1;
    let mut addresses = Vec::with_capacity(members.len());
    for (position, member) in members.iter().enumerate() {
        if let Some(address) = member {
            addresses.push(*address);
            continue;
        }
        let second_of_two = members.len() == 2 && position == 1 && !occupied.contains(&2);
        if second_of_two {
            next = 2;
        }
        while occupied.contains(&next) {
            next += 1;
        }
        let Some(address) = host(subnet, next) else {
            return Err(NetplanError::SubnetFull { subnet, capacity: host_capacity(subnet) });
        };
        addresses.push(IpNetwork::V4(address));
        next += 1;
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Ipv4Network {
        text.parse().unwrap()
    }

    fn plan(subnet: &str, members: &[Option<&str>]) -> Result<Vec<String>, NetplanError> {
        let members: Vec<_> = members.iter().map(|m| m.map(|text| text.parse().unwrap())).collect();
        Ok(address_members(net(subnet), &members)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn hosts_follow_the_order_of_the_members() {
        assert_eq!(plan("20.0.0.0/24", &[None, None]).unwrap(), ["20.0.0.1/24", "20.0.0.2/24"]);
        assert_eq!(plan("30.0.0.0/24", &[None; 3]).unwrap()[2], "30.0.0.3/24");
    }

    #[test]
    fn static_addresses_are_kept_and_not_given_twice() {
        assert_eq!(
            plan("20.0.0.0/24", &[Some("20.0.0.1/24"), None]).unwrap(),
            ["20.0.0.1/24", "20.0.0.2/24"]
        );
        assert_eq!(plan("20.0.0.0/24", &[Some("20.0.0.2/24"), None]).unwrap()[1], "20.0.0.1/24");
        assert_eq!(plan("20.0.1.0/24", &[None, Some("20.0.0.254/24")]).unwrap()[0], "20.0.1.1/24");
        // The other end's static address does not move this end's.
        assert_eq!(plan("20.0.1.0/24", &[Some("20.0.0.254/24"), None]).unwrap()[1], "20.0.1.2/24");
        assert_eq!(
            plan("30.0.0.0/24", &[None, Some("30.0.0.2/24"), None, Some("fd00::1/64"), None]).unwrap(),
            ["30.0.0.1/24", "30.0.0.2/24", "30.0.0.3/24", "fd00::1/64", "30.0.0.4/24"]
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        assert!(matches!(plan("10.0.0.0/30", &[None; 3]), Err(NetplanError::SubnetFull { capacity: 2, .. })));
        let error = plan("20.0.0.0/24", &[Some("20.0.0.9/24"), None, Some("20.0.0.9/16")]).unwrap_err();
        assert_eq!(
            error,
            NetplanError::AddressTwice { address: "20.0.0.9".parse().unwrap(), members: (0, 2) }
        );
    }

    #[test]
    fn shapes() {
        assert_eq!(shape(true, 0, 2), Shape::Line);
        assert_eq!(shape(true, 0, 3), Shape::Lan);
        assert_eq!(shape(false, 0, 2), Shape::Lan);
        assert_eq!(shape(false, 1, 2), Shape::Tree);
    }

    proptest! {
        #[test]
        fn no_address_is_given_twice(statics in prop::collection::vec(prop::option::of(0_u8..=255), 1..40)) {
            let subnet = net("30.0.0.0/24");
            let members: Vec<Option<IpNetwork>> = statics
                .iter()
                .map(|s| s.map(|last| format!("30.0.0.{last}/24").parse().unwrap()))
                .collect();
            if let Ok(addresses) = address_members(subnet, &members) {
                let distinct: std::collections::BTreeSet<_> = addresses.iter().map(|a| a.ip()).collect();
                prop_assert_eq!(distinct.len(), members.len());
                for (address, member) in addresses.iter().zip(&members) {
                    prop_assert!(member.is_none_or(|m| m == *address));
                }
            }
        }
    }
}
