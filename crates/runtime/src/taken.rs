//! What others hold on an engine's host: names of containers, and ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use llcm_names::{EngineName, Port, Protocol};
use serde::{Deserialize, Serialize};

/// What a plan must keep clear of because somebody else has it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Taken {
    /// Names that containers of other installations, or of nobody, have in the engine, running or not.
    pub names: BTreeSet<EngineName>,
    /// Ports of the host that are in use. What the installation's own containers publish may be among them,
    /// for a host does not tell whom a listener serves.
    pub ports: BTreeSet<HeldPort>,
}

/// A port of the host that is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeldPort {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: Port,
    /// The host's address it is in use on; `None`: on all of them.
    pub address: Option<IpAddr>,
}

impl HeldPort {
    /// Whether nobody can listen on the same port of this address of the host (`None`: of all addresses).
    ///
    /// ```
    /// use llcm_names::Protocol;
    /// use llcm_runtime::HeldPort;
    ///
    /// let address = |text: &str| Some(text.parse().expect("an address"));
    /// let port = 53.try_into().expect("a port");
    /// let resolver = HeldPort { protocol: Protocol::Udp, port, address: address("127.0.0.53") };
    /// assert!(resolver.blocks(None) && resolver.blocks(address("0.0.0.0")));
    /// assert!(!resolver.blocks(address("192.0.2.1")));
    /// ```
    #[must_use]
    pub fn blocks(&self, address: Option<IpAddr>) -> bool {
        overlap(self.address, address)
    }
}

/// Whether a listener on one address keeps another one from the other. `::` may be both families at once
/// (`ipv6(7)`, `IPV6_V6ONLY`), which cannot be seen from outside: it is taken to be.
pub(crate) fn overlap(one: Option<IpAddr>, other: Option<IpAddr>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) if !is_all(one) && !is_all(other) => {
            one.is_ipv4() == other.is_ipv4()
                && (one == other || one.is_unspecified() || other.is_unspecified())
        }
        _ => true,
    }
}

fn is_all(address: IpAddr) -> bool {
    address.is_ipv6() && address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_clash_where_their_addresses_meet() {
        let all = ["", "::"];
        for (one, other, expected) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("127.0.0.1", "127.0.0.2", false),
            ("127.0.0.1", "0.0.0.0", true),
            ("::1", "0.0.0.0", false),
            ("::1", "127.0.0.1", false),
            ("::1", "::1", true),
        ] {
            let address = |text: &str| (!text.is_empty()).then(|| text.parse().unwrap());
            assert_eq!(overlap(address(one), address(other)), expected, "{one} {other}");
            assert_eq!(overlap(address(other), address(one)), expected, "{other} {one}");
            for all in all {
                assert!(overlap(address(all), address(one)) && overlap(address(one), address(all)), "{one}");
            }
        }
    }
}
