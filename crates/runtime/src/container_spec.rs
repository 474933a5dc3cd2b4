//! What a container is to be, decided by the plan down to the last name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use llcm_names::{DcName, EngineName, IfName, Owner, Port, Protocol};
use serde::{Deserialize, Serialize};

/// When an image is fetched from a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    /// Only when the engine does not have it.
    #[default]
    IfMissing,
    /// Every time (`force_pull`).
    Always,
    /// Never: a missing image is an error.
    Never,
}

/// An image to be built from a directory of an unpacked package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSpec {
    /// The directory that holds the Dockerfile; nothing outside it is sent to the engine.
    pub context: PathBuf,
    /// The Dockerfile's name within the directory.
    pub dockerfile: String,
    /// What the image will be called.
    pub tag: String,
}

/// A container, fully decided. `Eq` is the "same spec" of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// Whose it is; becomes the engine object's mark.
    pub owner: Owner,
    /// Its name in the engine.
    pub name: EngineName,
    /// Its logical name, as shown to people and given to the VNF as `VNF_NAME`; the hostname, too.
    pub logical_name: String,
    /// The data center it belongs to, kept as a label.
    pub datacenter: DcName,
    /// Image reference.
    pub image: String,
    /// Environment, in the order of the keys.
    pub environment: BTreeMap<String, String>,
    /// CPU limits.
    pub cpu: CpuLimit,
    /// Bytes; `None`: not limited.
    pub memory_bytes: Option<u64>,
    /// Ports the container listens on.
    pub exposed: Vec<ExposedPort>,
    /// Ports published on the host.
    pub published: Vec<PortBinding>,
    /// Directories and files of the host to be seen in the container.
    pub binds: Vec<Bind>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Linux capabilities to add, without `CAP_`, upper case.
    pub cap_add: Vec<String>,
    /// IPC mode as the engine understands it (`private`, `shareable`, `host`, `container:<name>`).
    pub ipc_mode: Option<String>,
    /// The interfaces that will be attached. Where the engine can, the VNF's own process does not run before
    /// they exist and are up.
    pub interfaces: Vec<IfName>,
    /// The one of them that is the engine's own, under this name; `None`: the engine's own interface is none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<IfName>,
}

/// What a host name may hold (Linux: `__NEW_UTS_LEN`, 64; DNS labels and other programs: 63).
const HOSTNAME_MAX: usize = 63;
impl ContainerSpec {
    /// The host name: the logical name, cut to what the kernel and other programs take.
    #[must_use]
    pub fn hostname(&self) -> String {
        cut(&self.logical_name)
    }
}

fn cut(logical_name: &str) -> String {
    let mut end = logical_name.len().min(HOSTNAME_MAX);
    while !logical_name.is_char_boundary(end) {
        end -= 1;
    }
    logical_name[..end].trim_end_matches(['.', '-']).to_owned()
}

/// CPU limits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CpuLimit {
    /// The scheduler's period in microseconds.
    pub period_us: Option<u64>,
    /// CPU time within a period in microseconds.
    pub quota_us: Option<u64>,
    /// CPUs to run on, as the kernel's list (`0,2-3`).
    pub cpuset: Option<String>,
}

/// The highest CPU number there can be: Linux is built for 8192 CPUs at most (`NR_CPUS_RANGE_END`).
pub const MAX_CPU: u32 = 8191;

/// Parses the kernel's format for lists of CPUs (`0,2-3`); `None` for what is no such list, or names CPUs
/// beyond [`MAX_CPU`].
///
/// ```
/// let cpus = llcm_runtime::container_spec::parse_cpu_list("0,2-3").unwrap();
/// assert_eq!(cpus.into_iter().collect::<Vec<_>>(), [0, 2, 3]);
/// assert_eq!(llcm_runtime::container_spec::parse_cpu_list("3-1"), None);
/// ```
#[must_use]
pub fn parse_cpu_list(list: &str) -> Option<BTreeSet<u32>> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|cpu| *cpu <= MAX_CPU);
    let mut cpus = BTreeSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if first > last {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

/// A port a container listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExposedPort {
    /// The port in the container.
    pub port: Port,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A container's port published on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    /// The port in the container.
    pub container: Port,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port on the host.
    pub host: Port,
    /// The host's address to listen on; `None`: all.
    pub host_ip: Option<IpAddr>,
}

/// A directory or file of the host seen in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path on the host; the driver creates the directory when it is missing.
    pub host: PathBuf,
    /// Absolute path in the container.
    pub container: PathBuf,
    /// Whether the container may not write.
    pub read_only: bool,
}

/// A device of the host in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub host: PathBuf,
    /// Path in the container.
    pub container: PathBuf,
    /// Of `r`, `w`, `m`.
    pub permissions: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_are_cut_where_it_makes_sense() {
        assert_eq!(cut("vnf0.vdu01.0"), "vnf0.vdu01.0");
        assert_eq!(cut(&format!("{}.x", "a".repeat(62))), "a".repeat(62));
        assert_eq!(cut(&"a".repeat(200)).len(), 63);
        assert_eq!(cut(&format!("{}ä", "a".repeat(62))), "a".repeat(62));
    }
}
