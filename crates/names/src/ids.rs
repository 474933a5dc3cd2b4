//! Ids: typed, so that one kind is never taken for another.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::text::{NameError, text_newtype};

macro_rules! uuid_newtype {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID made by the caller's id source.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.0, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self).map_err(|_| NameError::new($kind, "expected a UUID", text))
            }
        }
    };
}

uuid_newtype!(
    /// An on-boarded service: one per accepted upload.
    ServiceId, "service id"
);
uuid_newtype!(
    /// A network service instance.
    InstanceId, "instance id"
);
uuid_newtype!(
    /// A request to change the life-cycle of a service.
    RequestId, "request id"
);
uuid_newtype!(
    /// A schedule of changes of links.
    ScheduleId, "schedule id"
);
uuid_newtype!(
    /// A network function of an on-boarded service.
    FunctionId, "function id"
);

/// Names one installation (one data directory) on a host: 8 lower-case hexadecimal digits. It stands in the
/// names and marks of all that the installation creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstallationId(String);

text_newtype!(InstallationId);

impl InstallationId {
    /// The installation id made of the given random bits.
    #[must_use]
    pub fn from_bits(bits: u32) -> Self {
        Self(format!("{bits:08x}"))
    }

    /// Parses an installation id.
    ///
    /// # Errors
    /// When the text is not exactly 8 digits of `0-9a-f`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 8 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("installation id", "expected 8 lower-case hexadecimal digits", text))
        }
    }
}

/// The SHA-1 of a package file's bytes, 40 lower-case hexadecimal digits. SHA-1 because the clients of the
/// REST interface expect that digest in the upload's reply; nothing relies on it for security.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageHash(String);

text_newtype!(PackageHash);

impl PackageHash {
    /// Parses a digest.
    ///
    /// # Errors
    /// When the text is not exactly 40 digits of `0-9a-f`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() == 40 && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError::new("package hash", "expected 40 lower-case hexadecimal digits", text))
        }
    }
}

/// Short service instance id: counts the instances of one service from 0. The lowest one that no live
/// instance of the service holds is given out first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ssiid(u16);

impl Ssiid {
    /// Wraps a number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for Ssiid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A layer-2 segment (E-Line, E-LAN or E-Tree) of an installation. Also its VXLAN network identifier, hence
/// 24 bits, never 0 (RFC 7348, section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SegmentId(u32);

impl SegmentId {
    /// The largest id.
    pub const MAX: Self = Self(0x00ff_ffff);
    /// The smallest id.
    pub const MIN: Self = Self(1);

    /// The number, 1 to 2^24 - 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for SegmentId {
    type Error = NameError;

    fn try_from(number: u32) -> Result<Self, NameError> {
        if (Self::MIN.0..=Self::MAX.0).contains(&number) {
            Ok(Self(number))
        } else {
            Err(NameError::new("segment id", "expected 1 to 16777215", &number.to_string()))
        }
    }
}

impl From<SegmentId> for u32 {
    fn from(id: SegmentId) -> Self {
        id.0
    }
}

impl std::fmt::Display for SegmentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A port of a data center, the near end of one container interface: unique among the live ports of an
/// installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PortId(u32);

impl PortId {
    /// Wraps a number.
    #[must_use]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for PortId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The kernel's link group (`ip link set group`) that all network devices of one instance share, so that
/// they are removed in one request. Never 0, the kernel's default group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct LinkGroup(u32);

impl LinkGroup {
    /// The number, at least 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for LinkGroup {
    type Error = NameError;

    fn try_from(number: u32) -> Result<Self, NameError> {
        if number >= 1 && number <= i32::MAX.unsigned_abs() {
            Ok(Self(number))
        } else {
            Err(NameError::new("link group", "expected 1 to 2147483647", &number.to_string()))
        }
    }
}

impl From<LinkGroup> for u32 {
    fn from(group: LinkGroup) -> Self {
        group.0
    }
}
