//! Network interface names.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::{InstallationId, InstanceId};
use crate::text::{NameError, text_newtype};

/// The name of a network interface: 1 to 15 bytes, no `/`, no blank, no `:`, not `.` or `..`
/// (Linux: `dev_valid_name()` in net/core/dev.c, `IFNAMSIZ` 16 with the final zero). Printable ASCII only,
/// which is stricter than the kernel and what every tool can show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(String);

text_newtype!(IfName);

impl IfName {
    /// The kernel's limit in bytes.
    pub const MAX: usize = 15;

    /// Parses an interface name.
    ///
    /// # Errors
    /// When the kernel would refuse the name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let fail = |rule| Err(NameError::new("interface name", rule, text));
        if text.is_empty() || text.len() > Self::MAX {
            return fail("must be 1 to 15 bytes long");
        }
        if text == "." || text == ".." {
            return fail("must not be '.' or '..'");
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%')) {
            return fail("may hold printable ASCII without blanks, '/', ':' and '%' only");
        }
        Ok(Self(text.to_owned()))
    }

    /// The interface name for a connection point's id: `:`, ` `, `.`, `_` and all that no name may hold
    /// become `-`; what is longer than 15 bytes keeps its first 10 and gets a hash of the whole id, so that
    /// two long ids that begin alike stay apart and the same id always has the same name.
    ///
    /// # Errors
    /// When the id is empty.
    pub fn derive(connection_point: &str) -> Result<Self, NameError> {
        let keep = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let clean: String = connection_point.chars().map(|c| if keep(c) { c } else { '-' }).collect();
        if clean.len() <= Self::MAX {
            return Self::parse(&clean);
        }
        let digest = Sha256::digest(connection_point.as_bytes());
        Self::parse(&format!("{}-{:02x}{:02x}", &clean[..10], digest[0], digest[1]))
    }

    /// The name of an interface of the host for a service's connection point: the beginning of that one's id, up to
    /// 8 letters and digits of it, and a digest of the installation, the instance and the id, so that no two share
    /// a name (`input-3fa9c1`).
    #[must_use]
    pub fn of_host(installation: &InstallationId, instance: InstanceId, connection_point: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(installation.as_str())
            .chain_update(instance.uuid().as_bytes())
            .chain_update(connection_point)
            .finalize();
        let letters = connection_point.chars().filter(char::is_ascii_alphanumeric).take(8);
        let mut name: String = letters.collect();
        if name.is_empty() {
            name.push_str("sap");
        }
        Self(format!("{name}-{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn connection_points_of_real_descriptors() {
        for (id, name) in [
            ("mgmt", "mgmt"),
            ("vdu01:eth0", "vdu01-eth0"),
            ("mp.input", "mp-input"),
            ("a_b c", "a-b-c"),
            ("mgmtVM-internal", "mgmtVM-internal"),
        ] {
            assert_eq!(IfName::derive(id).unwrap().as_str(), name);
        }
    }

    #[test]
    fn long_ids_that_begin_alike_stay_apart() {
        let first = IfName::derive("vnf_firewall:input").unwrap();
        let second = IfName::derive("vnf_firewall:inpux").unwrap();
        assert!(first.as_str().starts_with("vnf-firewa-"), "{first}");
        assert_ne!(first, second);
        assert_eq!(first, IfName::derive("vnf_firewall:input").unwrap());
    }

    proptest! {
        #[test]
        fn a_derived_name_is_always_valid(id in "\\PC{1,40}") {
            let name = IfName::derive(&id).unwrap();
            prop_assert_eq!(IfName::parse(name.as_str()).unwrap(), name);
        }
    }

    #[test]
    fn names_on_the_host_are_valid_and_differ() {
        let installation = InstallationId::from_bits(1);
        let instance: InstanceId = "0123abcd-0000-4000-8000-000000000000".parse().unwrap();
        let name = |cp: &str| IfName::of_host(&installation, instance, cp);
        for cp in ["input", "in.put:very-long", "", "ä/ö", "x"] {
            assert_eq!(IfName::parse(name(cp).as_str()), Ok(name(cp)), "{cp}");
        }
        assert!(name("input").as_str().starts_with("input-") && name("").as_str().starts_with("sap-"));
        assert_ne!(name("input"), IfName::of_host(&InstallationId::from_bits(2), instance, "input"));
        assert_ne!(name("inputinputA"), name("inputinputB"));
    }
}
