//! What the client of registries is told when it is made.

use std::path::PathBuf;
use std::time::Duration;

use llcm_engine::image::ImageLimits;

/// How registries are reached, and how much is taken from them.
#[derive(Debug, Clone)]
pub struct RegistryOptions {
    /// Registries that are spoken to by plain HTTP, as references name them (`registry.example:5000`); without
    /// a port, whichever the reference's. `localhost` and loopback addresses are, without being named here.
    pub insecure: Vec<String>,
    /// A file with credentials, in the form of Docker's `~/.docker/config.json`: its `auths` are used,
    /// credential helpers are not. It is read whenever a registry asks; one that is not there holds none.
    pub docker_config: Option<PathBuf>,
    /// A file with certificates (PEM) of authorities that are trusted beside the machine's own.
    pub certificates: Option<PathBuf>,
    /// The proxy for HTTPS (`http://proxy.example:3128`). Plain HTTP goes without one.
    pub https_proxy: Option<String>,
    /// Hosts that are reached without a proxy, in the form of the variable `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// How much an image may hold. Bytes count as they arrive, packed or not.
    pub limits: ImageLimits,
    /// Layers that are downloaded at the same time.
    pub concurrency: usize,
    /// How often a layer is asked for before it is given up.
    pub attempts: u32,
    /// How long to wait for what.
    pub deadlines: RegistryDeadlines,
}

/// How long a registry may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistryDeadlines {
    /// Until a connection is there.
    pub connect: Duration,
    /// Silence: until an answer begins, and between any two pieces of it.
    pub silence: Duration,
    /// Before a layer is asked for the second time; each further time, twice as long as before.
    pub back_off: Duration,
}

impl Default for RegistryDeadlines {
    /// 10 s, 60 s and 1 s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            silence: Duration::from_secs(60),
            back_off: Duration::from_secs(1),
        }
    }
}

impl Default for RegistryOptions {
    /// HTTPS to all but loopback, no credentials, the image store's limits, three layers at a time, each asked
    /// for four times at most.
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            docker_config: None,
            certificates: None,
            https_proxy: None,
            no_proxy: None,
            limits: ImageLimits::default(),
            concurrency: 3,
            attempts: 4,
            deadlines: RegistryDeadlines::default(),
        }
    }
}
