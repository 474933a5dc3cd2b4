//! Capabilities of Linux by name (capabilities(7)), and the set a container has unless told otherwise.

use std::fmt;
use std::str::FromStr;

use rustix::thread::CapabilitySet;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// A capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Capability(u8);

/// Names by number.
const NAMES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

impl Capability {
    /// Change owners of files.
    pub const CHOWN: Self = Self(0);
    /// Ignore permissions of files.
    pub const DAC_OVERRIDE: Self = Self(1);
    /// Act as the owner of files.
    pub const FOWNER: Self = Self(3);
    /// Keep set-user-id bits.
    pub const FSETID: Self = Self(4);
    /// Send signals to others' processes.
    pub const KILL: Self = Self(5);
    /// Change groups.
    pub const SETGID: Self = Self(6);
    /// Change users.
    pub const SETUID: Self = Self(7);
    /// Give capabilities up.
    pub const SETPCAP: Self = Self(8);
    /// Bind ports below 1024.
    pub const NET_BIND_SERVICE: Self = Self(10);
    /// Configure the network of the container.
    pub const NET_ADMIN: Self = Self(12);
    /// Raw sockets, `ping`.
    pub const NET_RAW: Self = Self(13);
    /// Change the root directory.
    pub const SYS_CHROOT: Self = Self(18);
    /// Mounts, namespaces and much else.
    pub const SYS_ADMIN: Self = Self(21);
    /// Make device nodes.
    pub const MKNOD: Self = Self(27);
    /// Write to the audit log, which `login` and `sshd` do.
    pub const AUDIT_WRITE: Self = Self(29);
    /// Set capabilities of files.
    pub const SETFCAP: Self = Self(31);

    /// All capabilities this program knows.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0u8..).zip(NAMES).map(|(number, _)| Self(number))
    }

    /// As the kernel's set of this one.
    pub(crate) fn set(self) -> CapabilitySet {
        CapabilitySet::from_bits_retain(1 << self.0)
    }
}

/// What Docker gives as well, without `MKNOD`: version 2 of cgroups has no filter of devices without BPF, so a
/// device node would be the device.
pub const DEFAULT: &[Capability] = &[
    Capability::CHOWN,
    Capability::DAC_OVERRIDE,
    Capability::FOWNER,
    Capability::FSETID,
    Capability::KILL,
    Capability::SETGID,
    Capability::SETUID,
    Capability::SETPCAP,
    Capability::NET_BIND_SERVICE,
    Capability::NET_RAW,
    Capability::SYS_CHROOT,
    Capability::AUDIT_WRITE,
    Capability::SETFCAP,
];

impl FromStr for Capability {
    type Err = EngineError;

    /// With or without `CAP_`, in any case.
    fn from_str(text: &str) -> Result<Self, EngineError> {
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        (0u8..)
            .zip(NAMES)
            .find_map(|(number, it)| (*it == name).then_some(Self(number)))
            .ok_or_else(|| EngineError::Invalid(format!("`{text}` is no capability: see capabilities(7)")))
    }
}

impl TryFrom<String> for Capability {
    type Error = EngineError;

    fn try_from(text: String) -> Result<Self, EngineError> {
        text.parse()
    }
}

impl From<Capability> for String {
    fn from(capability: Capability) -> Self {
        capability.to_string()
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.get(usize::from(self.0)).unwrap_or(&"?"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_the_kernels() {
        assert_eq!(Capability::NET_ADMIN.set(), CapabilitySet::NET_ADMIN);
        assert_eq!(
            "CAP_CHECKPOINT_RESTORE".parse::<Capability>().unwrap().set(),
            CapabilitySet::CHECKPOINT_RESTORE
        );
        assert_eq!("sys_admin".parse::<Capability>().unwrap(), Capability::SYS_ADMIN);
        assert_eq!(Capability::MKNOD.set(), CapabilitySet::MKNOD);
        assert!("ALL_OF_IT".parse::<Capability>().is_err());
        assert!(!DEFAULT.contains(&Capability::MKNOD));
    }
}
