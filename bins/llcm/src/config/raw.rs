//! The one table of settings: flags, environment variables and keys of the file.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use llcm_lifecycle::{Integrity, LinkRule, VcpuRule};
use llcm_netplan::PoolConfig;
use llcm_placement::ALGORITHMS;

use super::dialect::{self, DialectWord};
use super::image_map::ImageMapping;
use super::listen::Listen;
use super::saps::SapMapping;
use super::values::{ByteSize, pool, word};

/// What runs containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, ValueEnum)]
pub(crate) enum Engine {
    /// This program itself, with links through the Linux kernel; needs nothing installed and no root.
    #[default]
    Embedded,
    /// Docker, with links through the Linux kernel; needs root.
    Docker,
    /// Nothing: containers and links exist in memory only; needs no privileges.
    Simulated,
}

impl Engine {
    /// As it is named in settings and topology files.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Docker => "docker",
            Self::Simulated => "simulated",
        }
    }
}

/// What was given in one place; `None`: not given there.
#[derive(Debug, Clone, Default, PartialEq, Args)]
pub(crate) struct RawConfig {
    /// Where to listen; `tango=` (the default) or `sonata=` before the address names the dialect. Repeatable.
    /// [default: 127.0.0.1:5000]
    #[arg(long, env = "LLCM_LISTEN", value_name = "[DIALECT=]ADDR", value_delimiter = ',')]
    pub(crate) listen: Option<Vec<Listen>>,
    /// Host names that clients may call the server by, besides `localhost` and addresses.
    #[arg(
        long,
        env = "LLCM_ALLOWED_HOSTS",
        value_name = "NAMES",
        visible_alias = "allow-host",
        value_delimiter = ','
    )]
    pub(crate) allowed_hosts: Option<Vec<String>>,
    /// Origins (`https://lab.example:8443`) whose web pages may use the server as its own may.
    #[arg(long, env = "LLCM_ALLOWED_ORIGINS", value_name = "ORIGINS", value_delimiter = ',')]
    pub(crate) allowed_origins: Option<Vec<String>>,
    /// Want a token on the loopback interface, too; on other addresses one always is. `llcm token` makes them.
    #[arg(long, env = "LLCM_REQUIRE_TOKENS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) require_tokens: Option<bool>,
    /// The file of tokens. [default: `tokens.json` in the data directory]
    #[arg(long, env = "LLCM_TOKENS_FILE", value_name = "FILE")]
    pub(crate) tokens_file: Option<PathBuf>,
    /// The certificate chain (PEM) of all listeners, which speak TLS then; with `tls_key`.
    #[arg(long, env = "LLCM_TLS_CERT", value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, env = "LLCM_TLS_KEY", value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Listen WITHOUT TLS on addresses that other machines can reach: whoever can read the network reads the tokens.
    #[arg(long, env = "LLCM_INSECURE_PLAIN_HTTP", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) insecure_plain_http: Option<bool>,
    /// Where state is kept. [default: /var/lib/llcm for root, else the user's data directory]
    #[arg(long, env = "LLCM_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The data centers and the links between them. [default: dc1 and dc2, joined by one link]
    #[arg(long, env = "LLCM_TOPOLOGY", value_name = "FILE")]
    pub(crate) topology: Option<PathBuf>,
    /// What runs containers, where the topology names nothing else for a data center. [default: embedded]
    #[arg(long, env = "LLCM_ENGINE", value_name = "ENGINE", value_enum)]
    pub(crate) engine: Option<Engine>,
    /// Docker's socket (`unix:///run/docker.sock`). [default: DOCKER_HOST, else Docker's own default]
    #[arg(long, env = "LLCM_DOCKER_HOST", value_name = "URL")]
    pub(crate) docker_host: Option<String>,
    /// Images that the embedded engine takes in place of those that packages ask for; `host` is this machine's own
    /// programs. Repeatable.
    #[arg(long, env = "LLCM_IMAGE_MAP", value_name = "NAME=IMAGE", value_delimiter = ',')]
    pub(crate) image_map: Option<Vec<ImageMapping>>,
    /// Registries that the embedded engine speaks plain HTTP to; those on this machine it does anyway.
    #[arg(long, env = "LLCM_INSECURE_REGISTRIES", value_name = "HOSTS", value_delimiter = ',')]
    pub(crate) insecure_registries: Option<Vec<String>>,
    /// The file with credentials for registries, as `docker login` writes it. [default: Docker's own, if it is there]
    #[arg(long, env = "LLCM_REGISTRY_CONFIG", value_name = "FILE")]
    pub(crate) registry_config: Option<PathBuf>,
    /// Latencies and faults of the simulated engine.
    #[arg(long, env = "LLCM_SIMULATED_SCRIPT", value_name = "FILE")]
    pub(crate) simulated_script: Option<PathBuf>,
    /// How units are placed on data centers. [default: round-robin]
    #[arg(long, env = "LLCM_PLACEMENT", value_name = "ALGORITHM", value_parser = PossibleValuesParser::new(ALGORITHMS))]
    pub(crate) placement: Option<String>,
    /// Container name -> data center, for `static` placement; implies it.
    #[arg(long, env = "LLCM_PLACEMENT_FILE", value_name = "FILE")]
    pub(crate) placement_file: Option<PathBuf>,
    /// For placement algorithms that draw lots. [default: 0]
    #[arg(long, env = "LLCM_PLACEMENT_SEED", value_name = "N")]
    pub(crate) placement_seed: Option<u64>,
    /// Added to published ports, times the instance's number. [default: 1000]
    #[arg(long, env = "LLCM_PORT_OFFSET", value_name = "N")]
    pub(crate) port_offset: Option<u32>,
    /// The address that published ports listen on. [default: all]
    #[arg(long, env = "LLCM_PUBLISH_ADDRESS", value_name = "IP")]
    pub(crate) publish_address: Option<IpAddr>,
    /// What happens when a file's SHA-256 differs from its manifest's. [default: enforce]
    #[arg(long, env = "LLCM_INTEGRITY", value_name = "WHAT",
        value_parser = PossibleValuesParser::new(["enforce", "warn", "off"]).try_map(word::<Integrity>))]
    pub(crate) integrity: Option<Integrity>,
    /// Which services' links are deployed: those with forwarding graphs, or all. [default: forwarding-graphs]
    #[arg(long, env = "LLCM_LINKS", value_name = "RULE",
        value_parser = PossibleValuesParser::new(["forwarding-graphs", "declared"]).try_map(word::<LinkRule>))]
    pub(crate) links: Option<LinkRule>,
    /// What an integer `vcpus` means: a CPU to be pinned to, or a number of CPUs. [default: pin]
    #[arg(long, env = "LLCM_VCPUS", value_name = "RULE",
        value_parser = PossibleValuesParser::new(["pin", "count"]).try_map(word::<VcpuRule>))]
    pub(crate) vcpus: Option<VcpuRule>,
    /// The subnets for E-Lines, as the first one and their number (`20.0.0.0/24x256`). [default: the dialect's]
    #[arg(long, env = "LLCM_ELINE_POOL", value_name = "SUBNETxCOUNT", value_parser = pool)]
    pub(crate) eline_pool: Option<PoolConfig>,
    /// The subnets for E-LANs and E-Trees, likewise. [default: the dialect's, 30.0.0.0/24 and on]
    #[arg(long, env = "LLCM_ELAN_POOL", value_name = "SUBNETxCOUNT", value_parser = pool)]
    pub(crate) elan_pool: Option<PoolConfig>,
    /// Whether E-Lines carry traffic both ways. [default: yes in dialect tango, no in sonata]
    #[arg(long, env = "LLCM_BIDIRECTIONAL_CHAIN", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) bidirectional_chain: Option<bool>,
    /// The subnets for external service access points, likewise. [default: 10.10.0.0/30 and on]
    #[arg(long, env = "LLCM_SAP_POOL", value_name = "SUBNETxCOUNT", value_parser = pool)]
    pub(crate) sap_pool: Option<PoolConfig>,
    /// Make service access points of services' own connection points: external ones are interfaces of this host,
    /// the others are containers.
    #[arg(long, env = "LLCM_DEPLOY_SAPS", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) deploy_saps: Option<bool>,
    /// What a connection point becomes whatever its descriptor says: `external`, `internal` or `management`
    /// (`input=external`); repeatable.
    #[arg(long, env = "LLCM_SAP", value_name = "NAME=KIND", value_delimiter = ',')]
    pub(crate) sap: Option<Vec<SapMapping>>,
    /// The image of service access points that are containers. [default: a small one with this host's tools]
    #[arg(long, env = "LLCM_SAP_IMAGE", value_name = "IMAGE")]
    pub(crate) sap_image: Option<String>,
    /// A VNFD whose first unit service access points are that are containers. [default: a built-in one]
    #[arg(long, env = "LLCM_SAP_VNFD", value_name = "FILE")]
    pub(crate) sap_vnfd: Option<PathBuf>,
    /// Let what comes out of services at external access points leave this host, with the host's address.
    #[arg(long, env = "LLCM_SAP_NAT", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) sap_nat: Option<bool>,
    /// Leave links of management connection points only to the engine: its own interface in each container takes the
    /// connection point's name. Docker has such an interface, the embedded engine has none.
    #[arg(long, env = "LLCM_DOCKER_MANAGEMENT", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) docker_management: Option<bool>,
    /// Instantiate an uploaded package at once.
    #[arg(long, env = "LLCM_AUTO_DEPLOY", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) auto_deploy: Option<bool>,
    /// Terminate all instances of all services when a package was uploaded.
    #[arg(long, env = "LLCM_AUTO_DELETE", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) auto_delete: Option<bool>,
    /// Where `<container name>.env.yml` files are looked up.
    #[arg(long, env = "LLCM_ENV_DIR", value_name = "DIR")]
    pub(crate) env_dir: Option<PathBuf>,
    /// Where containers of SONATA services leave what they want to keep, in `<service>/<function>`.
    /// [default: `results` below the data directory]
    #[arg(long, env = "LLCM_RESULTS_DIR", value_name = "DIR")]
    pub(crate) results_dir: Option<PathBuf>,
    /// Build images from Dockerfiles inside packages.
    #[arg(long, env = "LLCM_BUILD_IMAGES", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) build_images: Option<bool>,
    /// Pull images even when they are present.
    #[arg(long, env = "LLCM_FORCE_PULL", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) force_pull: Option<bool>,
    /// Settings of 5GTANGO services alone (`force_pull=true`): of placement, chains, access points, management and
    /// images, and auto_deploy, auto_delete. They go before the server's own. Repeatable.
    #[arg(long, env = "LLCM_TANGO", value_name = "KEY=VALUE", value_delimiter = ',')]
    pub(crate) tango: Option<Vec<DialectWord>>,
    /// Settings of SONATA services alone, likewise.
    #[arg(long, env = "LLCM_SONATA", value_name = "KEY=VALUE", value_delimiter = ',')]
    pub(crate) sonata: Option<Vec<DialectWord>>,
    /// Containers of one instance that are started at the same time. [default: 8]
    #[arg(long, env = "LLCM_START_CONCURRENCY", value_name = "N")]
    pub(crate) start_concurrency: Option<NonZeroU16>,
    /// Seconds that stop scripts may take. [default: 5]
    #[arg(long, env = "LLCM_STOP_GRACE", value_name = "SECONDS")]
    pub(crate) stop_grace: Option<u32>,
    /// Largest IP packet of VNF interfaces, in bytes. [default: 1500]
    #[arg(long, env = "LLCM_MTU", value_name = "BYTES", value_parser = clap::value_parser!(u32).range(576..=9000))]
    pub(crate) mtu: Option<u32>,
    /// Start containers again that have ended or were removed by somebody else.
    #[arg(long, env = "LLCM_HEAL", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) heal: Option<bool>,
    /// Seconds that asking an engine or the kernel may take. [default: 30]
    #[arg(long, env = "LLCM_LOOK_DEADLINE", value_name = "SECONDS")]
    pub(crate) look_deadline: Option<NonZeroU32>,
    /// Seconds that making, starting, wiring or removing one thing may take. [default: 120]
    #[arg(long, env = "LLCM_CHANGE_DEADLINE", value_name = "SECONDS")]
    pub(crate) change_deadline: Option<NonZeroU32>,
    /// Seconds that preparing or removing a network as a whole may take. [default: 300]
    #[arg(long, env = "LLCM_NETWORK_DEADLINE", value_name = "SECONDS")]
    pub(crate) network_deadline: Option<NonZeroU32>,
    /// Seconds of silence after which fetching or building an image is given up. [default: 600]
    #[arg(long, env = "LLCM_IMAGE_DEADLINE", value_name = "SECONDS")]
    pub(crate) image_deadline: Option<NonZeroU32>,
    /// Seconds before what could not be taken down or started is tried again; then twice as long each time. [default: 2]
    #[arg(long, env = "LLCM_RETRY_FIRST", value_name = "SECONDS")]
    pub(crate) retry_first: Option<NonZeroU32>,
    /// Seconds between two such tries at most. [default: 300]
    #[arg(long, env = "LLCM_RETRY_LONGEST", value_name = "SECONDS")]
    pub(crate) retry_longest: Option<NonZeroU32>,
    /// Seconds that ending waits for requests, and then for what they have begun. [default: 60]
    #[arg(long, env = "LLCM_DRAIN_LIMIT", value_name = "SECONDS")]
    pub(crate) drain_limit: Option<NonZeroU32>,
    /// Capabilities that packages may ask for. [default: NET_ADMIN,NET_RAW,NET_BIND_SERVICE,SYS_NICE,IPC_LOCK]
    #[arg(long, env = "LLCM_ALLOWED_CAPABILITIES", value_name = "NAMES", value_delimiter = ',')]
    pub(crate) allowed_capabilities: Option<Vec<String>>,
    /// Devices that packages may ask for. [default: /dev/net/tun, /dev/null, /dev/zero, /dev/random, /dev/urandom]
    #[arg(long, env = "LLCM_ALLOWED_DEVICES", value_name = "PATHS", value_delimiter = ',')]
    pub(crate) allowed_devices: Option<Vec<String>>,
    /// IPC modes that packages may ask for. [default: private,shareable,none]
    #[arg(long, env = "LLCM_ALLOWED_IPC_MODES", value_name = "NAMES", value_delimiter = ',')]
    pub(crate) allowed_ipc_modes: Option<Vec<String>>,
    /// Largest upload (`512MiB`, `100000`). [default: 512MiB]
    #[arg(long, env = "LLCM_MAX_UPLOAD", value_name = "SIZE")]
    pub(crate) max_upload: Option<ByteSize>,
    /// Bytes of all files of a package together. [default: 2GiB]
    #[arg(long, env = "LLCM_MAX_UNPACKED", value_name = "SIZE")]
    pub(crate) max_unpacked: Option<ByteSize>,
    /// Largest descriptor. [default: 1MiB]
    #[arg(long, env = "LLCM_MAX_DESCRIPTOR", value_name = "SIZE")]
    pub(crate) max_descriptor: Option<ByteSize>,
    /// Files and directories in a package. [default: 10000]
    #[arg(long, env = "LLCM_MAX_ENTRIES", value_name = "N")]
    pub(crate) max_entries: Option<u64>,
    /// How many times its compressed size a file may expand to. [default: 200]
    #[arg(long, env = "LLCM_MAX_RATIO", value_name = "N")]
    pub(crate) max_ratio: Option<u64>,
    /// Levels of directories in a package. [default: 16]
    #[arg(long, env = "LLCM_MAX_DEPTH", value_name = "N")]
    pub(crate) max_depth: Option<u16>,
    /// Uploads that are received at the same time. [default: 4]
    #[arg(long, env = "LLCM_UPLOAD_CONCURRENCY", value_name = "N")]
    pub(crate) upload_concurrency: Option<NonZeroU16>,
    /// How long an upload may take in all, in seconds. [default: 3600]
    #[arg(long, env = "LLCM_UPLOAD_DEADLINE", value_name = "SECONDS")]
    pub(crate) upload_deadline: Option<NonZeroU32>,
    /// Bytes that uploads leave free on the disk of the data directory. [default: 256MiB]
    #[arg(long, env = "LLCM_MIN_FREE_DISK", value_name = "SIZE")]
    pub(crate) min_free_disk: Option<ByteSize>,
    /// Instances that are made at the same time; further ones wait. [default: 16]
    #[arg(long, env = "LLCM_INSTANTIATIONS", value_name = "N")]
    pub(crate) instantiations: Option<NonZeroU16>,
    /// How many may wait to be made; more are told to come back later (429). [default: 256]
    #[arg(long, env = "LLCM_INSTANTIATION_QUEUE", value_name = "N")]
    pub(crate) instantiation_queue: Option<u16>,
    /// How long one may wait to be made, in seconds. [default: 30]
    #[arg(long, env = "LLCM_INSTANTIATION_WAIT", value_name = "SECONDS")]
    pub(crate) instantiation_wait: Option<u32>,
    /// How many instances there may be. [default: 1000]
    #[arg(long, env = "LLCM_MAX_INSTANCES", value_name = "N")]
    pub(crate) max_instances: Option<NonZeroU32>,
    /// Connections at the same time; further ones wait to be accepted. [default: 512]
    #[arg(long, env = "LLCM_MAX_CONNECTIONS", value_name = "N")]
    pub(crate) max_connections: Option<NonZeroU32>,
    /// How long a request's head may take, in seconds. [default: 10]
    #[arg(long, env = "LLCM_HEADER_TIMEOUT", value_name = "SECONDS")]
    pub(crate) header_timeout: Option<NonZeroU32>,
    /// How long a JSON body may take, in seconds. [default: 10]
    #[arg(long, env = "LLCM_BODY_TIMEOUT", value_name = "SECONDS")]
    pub(crate) body_timeout: Option<NonZeroU32>,
    /// How long a TLS handshake may take, in seconds. [default: 5]
    #[arg(long, env = "LLCM_TLS_TIMEOUT", value_name = "SECONDS")]
    pub(crate) tls_timeout: Option<NonZeroU32>,
    /// Largest file of the audit log. [default: 10MiB]
    #[arg(long, env = "LLCM_AUDIT_SIZE", value_name = "SIZE")]
    pub(crate) audit_size: Option<ByteSize>,
    /// Files of the audit log that are kept. [default: 5]
    #[arg(long, env = "LLCM_AUDIT_FILES", value_name = "N")]
    pub(crate) audit_files: Option<NonZeroU16>,
    /// Go on when this host cannot emulate links as the topology says.
    #[arg(long, env = "LLCM_BEST_EFFORT", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) best_effort: Option<bool>,
    /// Terminate all instances when the server ends.
    #[arg(long, env = "LLCM_STOP_INSTANCES", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) stop_instances: Option<bool>,
    /// What is logged: a level, or levels by module (`info,llcm_lifecycle=debug`). [default: info,actix_server=warn]
    #[arg(long, env = "LLCM_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
}

/// Takes each field from the first place that has it. A field that is left out does not compile.
macro_rules! first_of {
    ($upper:ident, $lower:ident; $($field:ident),+ $(,)?) => {{
        let RawConfig { $($field),+ } = $upper;
        RawConfig { $($field: $field.or($lower.$field)),+ }
    }};
}

impl RawConfig {
    /// What `self` says, and where it says nothing, what `below` says.
    #[must_use]
    pub(crate) fn over(mut self, mut below: Self) -> Self {
        self.tango = dialect::over(self.tango.take(), below.tango.take());
        self.sonata = dialect::over(self.sonata.take(), below.sonata.take());
        first_of!(self, below;
            listen, allowed_hosts, allowed_origins, require_tokens, tokens_file, tls_cert, tls_key, insecure_plain_http, data_dir, topology, engine, docker_host, image_map, insecure_registries, registry_config, simulated_script,
            placement, placement_file, placement_seed, port_offset, publish_address, integrity, links, vcpus,
            eline_pool, elan_pool, bidirectional_chain, sap_pool, deploy_saps, sap, sap_image, sap_vnfd, sap_nat,
            docker_management, auto_deploy, auto_delete, env_dir, results_dir,
            build_images, force_pull, tango, sonata, start_concurrency, stop_grace, mtu, allowed_capabilities,
            heal, look_deadline, change_deadline, network_deadline, image_deadline, retry_first, retry_longest, drain_limit,
            allowed_devices, allowed_ipc_modes, max_upload, max_unpacked, max_descriptor,
            max_entries, max_ratio, max_depth, upload_concurrency, upload_deadline, min_free_disk, instantiations, instantiation_queue, instantiation_wait, max_instances,
            max_connections, header_timeout, body_timeout, tls_timeout, audit_size, audit_files, best_effort, stop_instances, log,
        )
    }
}
