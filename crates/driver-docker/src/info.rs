//! The engine's account of itself.

use llcm_runtime::{DriverResult, EngineInfo};

use crate::client::Client;
use crate::map_error::Attempt;

/// Where the kernel says which CPUs containers can be given: control groups of version 2, then 1.
const CPU_LISTS: [&str; 2] =
    ["/sys/fs/cgroup/cpuset.cpus.effective", "/sys/fs/cgroup/cpuset/cpuset.effective_cpus"];
/// No list of CPUs is longer (Linux: `NR_CPUS_RANGE_END` on the largest machines).
const CPUS_MAX: u32 = 8192;

/// Asks the engine who it is and what it has.
///
/// # Errors
/// `Unavailable`, `Denied`.
pub(crate) async fn info(client: &Client) -> DriverResult<EngineInfo> {
    let (name, version) = client.product();
    let attempt = Attempt::new("ask engine", name);
    let info = client.call(attempt, async |docker| docker.info().await).await?;
    let networks = client.call(attempt, async |docker| docker.list_networks(None).await).await?;
    let count = info.ncpu.and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    let mut subnets: Vec<String> = networks
        .into_iter()
        .filter(|network| network.scope.as_deref() != Some("swarm"))
        .filter_map(|network| network.ipam?.config)
        .flatten()
        .filter_map(|config| config.subnet)
        .collect();
    subnets.sort();
    subnets.dedup();
    Ok(EngineInfo {
        name: name.to_owned(),
        version: version.to_owned(),
        cpus: kernel_cpus().unwrap_or_else(|| (0..count.min(CPUS_MAX)).collect()),
        memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        networks: subnets,
        warnings: info.warnings.unwrap_or_default(),
    })
}

/// The CPUs of this host that containers can be pinned to. The engine only tells how many there are, which
/// is not the same where some are offline or kept for others.
fn kernel_cpus() -> Option<Vec<u32>> {
    CPU_LISTS.iter().find_map(|path| parse_cpus(std::fs::read_to_string(path).ok()?.trim()))
}

/// Reads the kernel's list format (`0,2-3`).
fn parse_cpus(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if last >= CPUS_MAX {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lists_are_read() {
        assert_eq!(parse_cpus("0-1"), Some(vec![0, 1]));
        assert_eq!(parse_cpus("0,2-4,7"), Some(vec![0, 2, 3, 4, 7]));
        for text in ["", "a", "1-", "0-4000000000", "0,,1"] {
            assert_eq!(parse_cpus(text), None, "{text:?}");
        }
    }
}
