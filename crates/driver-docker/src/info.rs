//! The engine's account of itself.

use llcm_runtime::container_spec::MAX_CPU;
use llcm_runtime::{DriverResult, EngineInfo, host};

use crate::client::Client;
use crate::map_error::Attempt;

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
        // The engine only tells how many there are, which is not the same where some are offline or kept for
        // others.
        cpus: host::cpus().unwrap_or_else(|| (0..count.min(MAX_CPU + 1)).collect()),
        memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        networks: subnets,
        warnings: info.warnings.unwrap_or_default(),
        ..EngineInfo::default()
    })
}
