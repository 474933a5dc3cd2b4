//! Transport ports.

use std::num::NonZeroU16;

use serde::{Deserialize, Serialize};

use crate::text::NameError;

/// A transport port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u16")]
pub struct Port(NonZeroU16);

impl Port {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    /// The port `offset` above this one, `None` beyond 65535.
    #[must_use]
    pub fn checked_add(self, offset: u32) -> Option<Self> {
        u32::from(self.get()).checked_add(offset).and_then(|sum| Self::try_from(u64::from(sum)).ok())
    }
}

impl TryFrom<u64> for Port {
    type Error = NameError;

    fn try_from(number: u64) -> Result<Self, NameError> {
        u16::try_from(number)
            .ok()
            .and_then(NonZeroU16::new)
            .map(Self)
            .ok_or_else(|| NameError::new("port", "expected 1 to 65535", &number.to_string()))
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.get()
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A transport protocol whose ports can be exposed and published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, what a bare port number means.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// `tcp` or `udp`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Protocol {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(NameError::new("protocol", "expected tcp or udp", text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_checked() {
        let port = Port::try_from(64_536).unwrap();
        assert_eq!(port.checked_add(999).map(Port::get), Some(65_535));
        assert_eq!(port.checked_add(1000), None);
        assert_eq!(port.checked_add(u32::MAX), None);
        assert!(Port::try_from(0).is_err());
    }
}
