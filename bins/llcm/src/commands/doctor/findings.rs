//! What was found, before anything is made of it.

use std::path::PathBuf;

use llcm_engine::{Powers, Publishing, Seen};

use crate::config::raw::Engine;

/// Everything. An error is why not, in words.
#[derive(Debug, Clone)]
pub(super) struct Findings {
    /// The user's number.
    pub(super) user: u32,
    pub(super) is_root: bool,
    /// What the server would use.
    pub(super) engine: Engine,
    pub(super) best_effort: bool,
    pub(super) embedded: Result<Embedded, String>,
    /// Whether the settings for Docker and registries, which images come from, are in order.
    pub(super) image_sources: Result<(), String>,
    pub(super) docker: Result<Docker, String>,
    /// Whether the simulated engine's script is in order.
    pub(super) simulated: Result<(), String>,
    pub(super) network: Result<Network, String>,
    pub(super) data_dir: DataDir,
    pub(super) datacenters: Vec<Place>,
    pub(super) links: usize,
}

/// The embedded engine, opened.
#[derive(Debug, Clone)]
pub(super) struct Embedded {
    pub(super) powers: Powers,
    pub(super) publishing: Publishing,
}

/// A Docker engine that answers.
#[derive(Debug, Clone)]
pub(super) struct Docker {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) warnings: Vec<String>,
    /// Containers in it that are this installation's.
    pub(super) containers: usize,
}

/// A kernel that can be wired.
#[derive(Debug, Clone)]
pub(super) struct Network {
    /// Properties of links, with what emulates them or the reason why nothing does.
    pub(super) properties: Vec<(&'static str, Result<String, String>)>,
    /// What the topology asks for in vain.
    pub(super) not_emulated: Vec<String>,
}

/// The data directory.
#[derive(Debug, Clone)]
pub(super) struct DataDir {
    pub(super) path: PathBuf,
    pub(super) usable: Result<(), String>,
    pub(super) installation: Option<String>,
    /// Whether a server has it now.
    pub(super) has_server: bool,
    /// What is in the embedded engine's directory; the error is why it cannot have one here.
    pub(super) engine: Result<Seen, String>,
    /// Data centers of this installation in the kernel.
    pub(super) datacenters: Vec<String>,
}

/// A data center of the topology.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) name: String,
    /// The engine as the topology says, or the server's.
    pub(super) engine_name: String,
    pub(super) engine: Result<Engine, String>,
}
