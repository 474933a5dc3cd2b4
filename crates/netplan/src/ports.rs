//! Published ports: declared port + stride x instance, checked.

use std::collections::BTreeMap;

use llcm_names::{Port, Protocol};

use crate::error::NetplanError;

/// The host port of an instance: `declared + stride * instance`.
///
/// # Errors
/// [`NetplanError::PortOverflow`].
///
/// ```
/// let declared = llcm_names::Port::try_from(1883).unwrap();
/// assert_eq!(llcm_netplan::published_port(declared, 1000, 1).unwrap().get(), 2883);
/// assert!(llcm_netplan::published_port(declared, 1000, 64).is_err());
/// ```
pub fn published_port(declared: Port, stride: u32, instance: u16) -> Result<Port, NetplanError> {
    stride
        .checked_mul(u32::from(instance))
        .and_then(|offset| declared.checked_add(offset))
        .ok_or(NetplanError::PortOverflow { declared, stride, instance })
}

/// Host ports and who has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortBook {
    taken: BTreeMap<(Protocol, Port), String>,
}

impl PortBook {
    /// A book without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a port for a holder. TCP and UDP ports of one number are different ports.
    ///
    /// # Errors
    /// [`NetplanError::PortTaken`] with the one who has it.
    pub fn claim(&mut self, protocol: Protocol, port: Port, holder: &str) -> Result<(), NetplanError> {
        if let Some(other) = self.taken.get(&(protocol, port)) {
            return Err(NetplanError::PortTaken { port, protocol, holder: other.clone() });
        }
        self.taken.insert((protocol, port), holder.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(number: u16) -> Port {
        Port::try_from(u64::from(number)).unwrap()
    }

    #[test]
    fn sums_are_checked_at_every_edge() {
        assert_eq!(published_port(port(65_535), 1000, 0), Ok(port(65_535)));
        assert_eq!(published_port(port(64_535), 1000, 1), Ok(port(65_535)));
        assert!(published_port(port(64_536), 1000, 1).is_err());
        let error = published_port(port(1), u32::MAX, u16::MAX).unwrap_err();
        assert_eq!(error.to_string(), "host port 1 + 4294967295 x 65535 is beyond 65535");
        assert_eq!(published_port(port(8080), 0, u16::MAX), Ok(port(8080)));
    }

    #[test]
    fn a_port_is_taken_once_per_protocol() {
        let mut book = PortBook::new();
        book.claim(Protocol::Tcp, port(139), "vnf0.vdu01.0").unwrap();
        book.claim(Protocol::Udp, port(139), "vnf0.vdu01.0").unwrap();
        let error = book.claim(Protocol::Tcp, port(139), "vnf1.vdu01.0").unwrap_err();
        assert_eq!(error.to_string(), "host port 139/tcp is taken by vnf0.vdu01.0");
    }
}
