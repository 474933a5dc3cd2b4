//! Containers on the embedded engine: the container driver for [`llcm_engine`], which needs no daemon.
//!
//! Decides no name, address or order, and knows nothing of networks beyond the file of a container's network
//! namespace, which is there before the container starts. What it creates carries the owner's labels; what does not
//! carry them is never touched.
//!
//! # Images
//! Looked up in the engine's store, then in the [`ImageSource`]s in order: a Docker engine on this machine, say, then
//! registries. What came from a source of this machine is compared with it each time, so that an image that was
//! built again is the one that runs.
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//!
//! use llcm_driver_engine::{EngineContainers, EngineOptions};
//! use llcm_engine::{Engine, Options};
//! use llcm_runtime::{ContainerDriver, PullPolicy};
//!
//! # async fn first_look() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::open(Options::new("/var/lib/example"))?;
//! let containers = EngineContainers::new(Arc::new(engine), EngineOptions::default(), Vec::new());
//! let image = containers.ensure_image("host", PullPolicy::IfMissing, &()).await?;
//! println!("runs {:?}", image.command);
//! # Ok(())
//! # }
//! ```
//!
//! Suggested reading order: `driver` (what is found, and whose it is), `containers` (the steps), `spec`, `source`,
//! `images`, `registry`, `exec`, `logs`, `map_error`.

mod containers;
mod driver;
mod exec;
mod images;
mod logs;
mod map_error;
mod registry;
mod source;
mod spec;
mod watch;

pub use driver::{EngineContainers, EngineOptions};
pub use registry::{Registry, RegistryDeadlines, RegistryOptions};
pub use source::ImageSource;
