//! Host addresses inside a subnet.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;

/// How many host addresses a subnet has: without the network's and the broadcast address, but all of them in
/// a /31 (RFC 3021) and a /32.
#[must_use]
pub fn host_capacity(subnet: Ipv4Network) -> u32 {
    match subnet.prefix() {
        0 => u32::MAX - 1,
        32 => 1,
        31 => 2,
        prefix => (1 << (32 - u32::from(prefix))) - 2,
    }
}

/// Host number `index`, from 1, with the subnet's prefix length; `None` when the subnet has no such host.
#[must_use]
pub fn host(subnet: Ipv4Network, index: u32) -> Option<Ipv4Network> {
    if index == 0 || index > host_capacity(subnet) {
        return None;
    }
    let skip = if subnet.prefix() >= 31 { index - 1 } else { index };
    let address = u32::from(subnet.network()).checked_add(skip)?;
    Ipv4Network::new(Ipv4Addr::from(address), subnet.prefix()).ok()
}

/// The number of a host within a subnet, the inverse of [`host`]; `None` when it is none of its hosts.
#[must_use]
pub fn index_of(subnet: Ipv4Network, address: Ipv4Addr) -> Option<u32> {
    if !subnet.contains(address) {
        return None;
    }
    let distance = u32::from(address) - u32::from(subnet.network());
    let index = if subnet.prefix() >= 31 { distance + 1 } else { distance };
    (1..=host_capacity(subnet)).contains(&index).then_some(index)
}

/// The longest prefix, but none longer than `prefix`, whose subnets have at least `members` hosts; `None`
/// when not even a /1 has.
#[must_use]
pub fn prefix_for(members: usize, prefix: u8) -> Option<u8> {
    let members = u32::try_from(members).ok()?;
    (1..=prefix.min(32)).rev().find(|&length| {
        Ipv4Network::new(Ipv4Addr::UNSPECIFIED, length).is_ok_and(|subnet| host_capacity(subnet) >= members)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> Ipv4Network {
        text.parse().unwrap()
    }

    #[test]
    fn hosts_of_usual_subnets() {
        assert_eq!(host(net("20.0.0.0/24"), 1), Some(net("20.0.0.1/24")));
        assert_eq!(host(net("20.0.0.0/24"), 254), Some(net("20.0.0.254/24")));
        assert_eq!(host(net("20.0.0.0/24"), 255), None);
        assert_eq!(host(net("20.0.0.0/24"), 0), None);
        assert_eq!(host(net("10.30.1.0/30"), 2), Some(net("10.30.1.2/30")));
        assert_eq!(host(net("10.30.1.0/30"), 3), None);
        assert_eq!(host(net("10.0.0.0/31"), 1), Some(net("10.0.0.0/31")));
        assert_eq!(host(net("10.0.0.0/31"), 2), Some(net("10.0.0.1/31")));
        assert_eq!(host(net("10.0.0.7/32"), 1), Some(net("10.0.0.7/32")));
    }

    #[test]
    fn a_subnet_grows_with_its_members() {
        assert_eq!(prefix_for(2, 24), Some(24));
        assert_eq!(prefix_for(254, 24), Some(24));
        assert_eq!(prefix_for(255, 24), Some(23));
        assert_eq!(prefix_for(10_000, 24), Some(18));
        assert_eq!(prefix_for(3, 30), Some(29));
        assert_eq!(prefix_for(2, 31), Some(31));
        assert_eq!(prefix_for(usize::MAX, 24), None);
    }

    proptest! {
        #[test]
        fn numbers_and_hosts_are_inverse(base: u32, prefix in 1_u8..=32, index in 1_u32..100_000) {
            let subnet = Ipv4Network::new(base.into(), prefix).unwrap();
            let subnet = Ipv4Network::new(subnet.network(), prefix).unwrap();
            if let Some(address) = host(subnet, index) {
                prop_assert!(subnet.contains(address.ip()));
                prop_assert_eq!(index_of(subnet, address.ip()), Some(index));
            } else {
                prop_assert!(index > host_capacity(subnet));
            }
        }
    }
}
