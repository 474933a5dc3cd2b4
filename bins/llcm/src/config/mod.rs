//! What the server is told: flags, environment, configuration file and defaults, in this order of precedence.
//!
//! [`raw::RawConfig`] is the one table: each of its fields is a flag (`--port-offset`), an environment
//! variable (`LLCM_PORT_OFFSET`) and a key of the file (`port_offset`). [`Config`] is what they come to.

pub(crate) mod access;
pub(crate) mod dialect;
pub(crate) mod file;
pub(crate) mod image_map;
mod listen;
pub(crate) mod raw;
mod saps;
mod values;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use llcm_lifecycle::{PlacementSettings, Settings};
use llcm_packaging::Limits;
use llcm_topology::{Finding, Topology};

pub(crate) use listen::Listen;
use raw::{Engine, RawConfig};

/// Everything decided; files that are named have been read.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where to listen; never empty.
    pub(crate) listen: Vec<Listen>,
    /// Where state is kept.
    pub(crate) data_dir: PathBuf,
    /// Data centers and links.
    pub(crate) topology: Topology,
    /// What the files that were read give cause to say.
    pub(crate) notes: Vec<String>,
    /// What runs containers.
    pub(crate) engine: Engine,
    /// The engine's address; `None`: its usual one.
    pub(crate) docker_host: Option<String>,
    /// Images that the embedded engine takes in place of others.
    pub(crate) image_map: BTreeMap<String, String>,
    /// Registries that are spoken to by plain HTTP.
    pub(crate) insecure_registries: Vec<String>,
    /// The file with credentials for registries; `None`: the usual one.
    pub(crate) registry_config: Option<PathBuf>,
    /// Latencies and faults of the simulated engine.
    pub(crate) simulated_script: Option<PathBuf>,
    /// Who is let in, and how much at a time.
    pub(crate) access: access::Access,
    /// The life-cycle's settings.
    pub(crate) settings: Settings,
    /// Terminate all instances when the server ends.
    pub(crate) stop_instances: bool,
    /// The log's filter.
    pub(crate) log: String,
}

/// What is logged unless told otherwise: the HTTP library's own doings are of no interest.
const DEFAULT_LOG: &str = "info,actix_server=warn";

/// Where the server listens unless told otherwise.
const DEFAULT_LISTEN: &str = "127.0.0.1:5000";

impl RawConfig {
    /// Fills in the defaults, reads the files that are named and checks what can be checked without acting.
    ///
    /// # Errors
    /// When files cannot be read, or settings contradict one another.
    pub(crate) fn resolve(self) -> anyhow::Result<Config> {
        let settings = self.settings()?;
        let data_dir = self.data_dir()?;
        let listen = match &self.listen {
            Some(listen) if !listen.is_empty() => listen.clone(),
            _ => vec![DEFAULT_LISTEN.parse().map_err(anyhow::Error::msg)?],
        };
        let access = access::Access::resolve(&self, &listen, &data_dir)?;
        let (topology, notes) = read_topology(self.topology.as_deref())?;
        Ok(Config {
            listen,
            data_dir,
            topology,
            notes,
            engine: self.engine.unwrap_or_default(),
            docker_host: self.docker_host,
            image_map: self
                .image_map
                .into_iter()
                .flatten()
                .map(|mapping| (mapping.asked, mapping.taken))
                .collect(),
            insecure_registries: self.insecure_registries.unwrap_or_default(),
            registry_config: self.registry_config,
            simulated_script: self.simulated_script,
            access,
            settings,
            stop_instances: self.stop_instances.unwrap_or(false),
            log: self.log.unwrap_or_else(|| DEFAULT_LOG.to_owned()),
        })
    }

    /// Where state is kept.
    ///
    /// # Errors
    /// When it is not told and the user has no home directory.
    pub(crate) fn data_dir(&self) -> anyhow::Result<PathBuf> {
        self.data_dir.clone().map_or_else(default_data_dir, Ok)
    }

    /// The limits on packages.
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        set(&mut limits.compressed_bytes, self.max_upload.map(|size| size.0));
        set(&mut limits.unpacked_bytes, self.max_unpacked.map(|size| size.0));
        set(&mut limits.descriptor_bytes, self.max_descriptor.map(|size| size.0));
        set(&mut limits.entries, self.max_entries);
        set(&mut limits.ratio, self.max_ratio);
        set(&mut limits.depth, self.max_depth.map(usize::from));
        limits
    }

    /// The life-cycle's settings.
    ///
    /// # Errors
    /// When a file that is named cannot be read.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        let mut settings = Settings { limits: self.limits(), ..Settings::default() };
        set(&mut settings.integrity, self.integrity);
        set(&mut settings.links, self.links);
        set(&mut settings.vcpus, self.vcpus);
        set(&mut settings.port_offset, self.port_offset);
        settings.publish_address = self.publish_address;
        settings.placement = self.placement_over(settings.placement)?;
        settings.env_dir.clone_from(&self.env_dir);
        settings.results_dir =
            self.results_dir.clone().or_else(|| Some(self.data_dir.as_ref()?.join("results")));
        if let Some(words) = &self.allowed_capabilities {
            settings.policy.capabilities = words
                .iter()
                .map(|word| word.to_ascii_uppercase())
                .map(|word| word.strip_prefix("CAP_").map(str::to_owned).unwrap_or(word))
                .collect();
        }
        if let Some(devices) = &self.allowed_devices {
            settings.policy.devices = devices.iter().map(PathBuf::from).collect();
        }
        if let Some(modes) = &self.allowed_ipc_modes {
            settings.policy.ipc_modes = modes.iter().cloned().collect::<BTreeSet<_>>();
        }
        settings.pools.eline = self.eline_pool;
        settings.pools.elan = self.elan_pool;
        settings.pools.sap = self.sap_pool;
        settings.saps = saps::settings(self)?;
        settings.bidirectional_chain = self.bidirectional_chain;
        set(&mut settings.docker_management, self.docker_management);
        set(&mut settings.auto_deploy, self.auto_deploy);
        set(&mut settings.auto_delete, self.auto_delete);
        set(&mut settings.build_images, self.build_images);
        set(&mut settings.force_pull, self.force_pull);
        set(&mut settings.start_concurrency, self.start_concurrency.map(|count| count.get().into()));
        set(&mut settings.stop_grace, self.stop_grace.map(seconds));
        set(&mut settings.mtu, self.mtu);
        settings.tango = dialect::settings(self.tango.as_deref(), &settings.placement).context("`tango`")?;
        settings.sonata =
            dialect::settings(self.sonata.as_deref(), &settings.placement).context("`sonata`")?;
        set(&mut settings.instantiations, self.instantiations.map(|count| count.get().into()));
        set(&mut settings.instantiation_queue, self.instantiation_queue.map(usize::from));
        set(&mut settings.instantiation_wait, self.instantiation_wait.map(seconds));
        set(&mut settings.max_instances, self.max_instances.and_then(|count| count.get().try_into().ok()));
        set(&mut settings.min_free_disk, self.min_free_disk.map(|size| size.0));
        set(&mut settings.best_effort, self.best_effort);
        set(&mut settings.heal, self.heal);
        let deadlines = &mut settings.deadlines;
        set(&mut deadlines.look, self.look_deadline.map(|count| seconds(count.get())));
        set(&mut deadlines.change, self.change_deadline.map(|count| seconds(count.get())));
        set(&mut deadlines.network, self.network_deadline.map(|count| seconds(count.get())));
        set(&mut deadlines.image, self.image_deadline.map(|count| seconds(count.get())));
        set(&mut settings.retry.first, self.retry_first.map(|count| seconds(count.get())));
        set(&mut settings.retry.longest, self.retry_longest.map(|count| seconds(count.get())));
        set(&mut settings.drain, self.drain_limit.map(|count| seconds(count.get())));
        if settings.retry.first > settings.retry.longest {
            bail!(
                "retry_first is longer than retry_longest: the waits between tries grow from the first to the longest"
            );
        }
        Ok(settings)
    }

    /// What is said about placement, laid over a more general `placement`.
    ///
    /// # Errors
    /// When the file that is named cannot be read.
    fn placement_over(&self, mut placement: PlacementSettings) -> anyhow::Result<PlacementSettings> {
        set(&mut placement.algorithm, self.placement.clone());
        set(&mut placement.seed, self.placement_seed);
        if let Some(path) = &self.placement_file {
            placement.fixed = read_placement(path)?;
            if self.placement.is_none() {
                "static".clone_into(&mut placement.algorithm);
            }
        }
        Ok(placement)
    }
}

/// A time that is given as seconds.
fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

/// Puts a value in the place of a default, when there is one.
fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// The embedded engine's directory in that of the state.
pub(crate) fn engine_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("engine")
}

/// `/var/lib/llcm` for root, else the user's own data directory (XDG base directories).
fn default_data_dir() -> anyhow::Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/llcm"));
    }
    if let Some(data) = std::env::var_os("XDG_DATA_HOME").filter(|value| !value.is_empty()) {
        return Ok(PathBuf::from(data).join("llcm"));
    }
    match std::env::home_dir() {
        Some(home) => Ok(home.join(".local/share/llcm")),
        None => bail!("no home directory to keep state in: give --data-dir"),
    }
}

/// Reads a topology file, with what there is to say about it; without one: dc1 and dc2, joined by one link.
///
/// # Errors
/// When the file cannot be read or has errors; all of them are told.
pub(crate) fn read_topology(path: Option<&Path>) -> anyhow::Result<(Topology, Vec<String>)> {
    let Some(path) = path else {
        return Ok((llcm_topology::default_topology(), Vec::new()));
    };
    let name = path.display();
    let (topology, findings) = read_topology_file(path)?;
    let findings: Vec<String> = findings.iter().map(|finding| format!("{name}: {finding}")).collect();
    match topology {
        Some(topology) => Ok((topology, findings)),
        None => bail!("the topology file has errors:\n  {}", findings.join("\n  ")),
    }
}

/// Reads a topology file and gives all findings about it.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn read_topology_file(path: &Path) -> anyhow::Result<(Option<Topology>, Vec<Finding>)> {
    let mut bytes = Vec::new();
    // One byte more than may be: what is too large is the loader's to say.
    let most = u64::try_from(llcm_topology::MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let read = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes));
    read.with_context(|| format!("cannot read the topology file {}", path.display()))?;
    Ok(llcm_topology::load(&bytes))
}

/// Reads a map of container names to data centers.
fn read_placement(path: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the placement file {}", path.display()))?;
    serde_saphyr::from_str(&text).with_context(|| {
        format!("the placement file {} is no map of container names to data centers", path.display())
    })
}
