//! MAC addresses.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::InstanceId;
use crate::text::NameError;

/// A unicast MAC address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// The six bytes, in transmission order.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// A locally administered unicast address (IEEE 802, U/L bit set, I/G bit clear) that depends on nothing
    /// but the instance and the endpoint's name within it: the same after every restart.
    #[must_use]
    pub fn derive(instance: InstanceId, endpoint: &str) -> Self {
        let digest = Sha256::new().chain_update(instance.uuid().as_bytes()).chain_update(endpoint).finalize();
        Self([(digest[0] & 0xfc) | 0x02, digest[1], digest[2], digest[3], digest[4], digest[5]])
    }

    /// Parses `aa:bb:cc:dd:ee:ff`, either case.
    ///
    /// # Errors
    /// When the text has another form, or the address is a multicast or the zero address.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fail = |rule| Err(NameError::new("MAC address", rule, text));
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            match parts.next().map(|part| (part.len(), u8::from_str_radix(part, 16))) {
                Some((2, Ok(value))) => *octet = value,
                _ => return fail("expected six pairs of hexadecimal digits joined by ':'"),
            }
        }
        if parts.next().is_some() {
            return fail("expected six pairs of hexadecimal digits joined by ':'");
        }
        if octets[0] & 1 == 1 || octets == [0; 6] {
            return fail("must be a unicast address");
        }
        Ok(Self(octets))
    }
}

impl std::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl std::str::FromStr for MacAddr {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for MacAddr {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<MacAddr> for String {
    fn from(mac: MacAddr) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_addresses_are_local_unicast_and_stable() {
        let id: InstanceId = "0123abcd-0000-4000-8000-000000000000".parse().unwrap();
        let mac = MacAddr::derive(id, "vnf0.vdu01.0:mgmt");
        assert_eq!(mac.octets()[0] & 0x03, 0x02);
        assert_eq!(mac, MacAddr::derive(id, "vnf0.vdu01.0:mgmt"));
        assert_ne!(mac, MacAddr::derive(id, "vnf0.vdu01.0:input"));
        assert_eq!(MacAddr::parse(&mac.to_string()), Ok(mac));
    }

    #[test]
    fn what_is_no_unicast_address_is_refused() {
        for text in [
            "",
            "1:2:3:4:5:6",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "02:00:00:00:00:00:00",
            "02-00-00-00-00-00",
        ] {
            assert!(MacAddr::parse(text).is_err(), "{text}");
        }
    }
}
