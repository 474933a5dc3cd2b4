//! Container names: the logical one, made of the descriptor's ids, and the engine's.

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, Ssiid};
use crate::text::{NameError, text_newtype};

/// What container engines accept behind the first character of a name (Docker's `RestrictedNameChars`).
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

const MAX: usize = 200;

fn check(kind: &'static str, text: &str) -> Result<(), NameError> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if !first {
        return Err(NameError::new(kind, "must begin with a letter or a digit", text));
    }
    if text.len() > MAX {
        return Err(NameError::new(kind, "must not be longer than 200 bytes", text));
    }
    if !text.bytes().all(is_name_byte) {
        return Err(NameError::new(kind, "may hold letters, digits, '_', '.' and '-' only", text));
    }
    Ok(())
}

/// The logical name of a deployment unit's container: `vnf_id.du_id.SSIID` in dialect `tango`,
/// `vnf_id` or `vnf_id.SSIID` in dialect `sonata`. Unique within a service's instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerName(String);

text_newtype!(ContainerName);

impl ContainerName {
    /// Parses a logical container name.
    ///
    /// # Errors
    /// When the text breaks the container engines' rule `[a-zA-Z0-9][a-zA-Z0-9_.-]*` or is too long.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check("container name", text)?;
        Ok(Self(text.to_owned()))
    }

    /// The name of dialect `tango`. Characters that engines refuse in names become `-`.
    ///
    /// # Errors
    /// When the ids are empty, too long or begin with a character that no name may begin with.
    pub fn derive(vnf_id: &str, du_id: &str, ssiid: Ssiid) -> Result<Self, NameError> {
        Self::parse(&format!("{}.{}.{ssiid}", clean(vnf_id), clean(du_id)))
    }

    /// The name of dialect `sonata`: the bare VNF id for the first instance of a service, qualified with the
    /// SSIID from the second one on.
    ///
    /// # Errors
    /// As [`ContainerName::derive`].
    pub fn derive_sonata(vnf_id: &str, ssiid: Ssiid) -> Result<Self, NameError> {
        if ssiid.get() == 0 {
            Self::parse(&clean(vnf_id))
        } else {
            Self::parse(&format!("{}.{ssiid}", clean(vnf_id)))
        }
    }

    /// The name in the container engine: prefix `mn.`, because the clients of the emulators this program
    /// takes over look containers up by it.
    #[must_use]
    pub fn engine_name(&self) -> EngineName {
        EngineName(format!("{}{}", EngineName::PREFIX, self.0))
    }

    /// The name in the container engine when another live instance holds [`ContainerName::engine_name`]:
    /// qualified with the first 8 digits of the instance's id.
    #[must_use]
    pub fn qualified_engine_name(&self, instance: InstanceId) -> EngineName {
        let id = instance.uuid().simple().to_string();
        EngineName(format!("{}{}.{}", EngineName::PREFIX, self.0, &id[..8]))
    }
}

fn clean(id: &str) -> String {
    id.chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') { c } else { '-' })
        .collect()
}

/// The name of a container in its engine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EngineName(String);

text_newtype!(EngineName);

impl EngineName {
    /// The prefix of the names that this program gives (Mininet's; existing clients look for it).
    pub const PREFIX: &str = "mn.";

    /// Parses a container's name as an engine reports it.
    ///
    /// # Errors
    /// As [`ContainerName::parse`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        check("engine name", text)?;
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_engines_refuse_are_cleaned() {
        let name = ContainerName::derive("vnf 1", "vdu01:eth0", Ssiid::new(0)).unwrap();
        assert_eq!(name.as_str(), "vnf-1.vdu01-eth0.0");
    }

    #[test]
    fn sonata_names_the_first_instance_without_a_number() {
        assert_eq!(ContainerName::derive_sonata("fw", Ssiid::new(0)).unwrap().as_str(), "fw");
        assert_eq!(ContainerName::derive_sonata("fw", Ssiid::new(1)).unwrap().as_str(), "fw.1");
    }

    #[test]
    fn a_qualified_name_holds_eight_digits_of_the_instance() {
        let id = "0123abcd-0000-4000-8000-000000000000".parse().unwrap();
        let name = ContainerName::parse("vnf0.vdu01.0").unwrap();
        assert_eq!(name.qualified_engine_name(id).as_str(), "mn.vnf0.vdu01.0.0123abcd");
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_rule() {
        for (text, rule) in [
            ("", "must begin"),
            (".x", "must begin"),
            ("-rf", "must begin"),
            ("a/b", "letters, digits"),
            ("a b", "letters, digits"),
            ("ä", "must begin"),
        ] {
            let error = ContainerName::parse(text).unwrap_err();
            assert!(error.rule.contains(rule), "{text:?}: {error}");
        }
        assert!(ContainerName::parse(&"a".repeat(201)).is_err());
    }
}
