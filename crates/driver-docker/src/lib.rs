//! Containers on the Docker engine: the container driver for Docker 20.10 and later, and for engines that
//! speak its interface.
//!
//! Decides no name, address or order, and knows nothing of networks beyond where a container's network
//! namespace is. What it creates carries the owner's labels; what does not carry them is never touched.
//!
//! # Interfaces before the VNF's own process
//! Docker makes a container's network namespace when it starts the container's process, which is too late
//! for a VNF that looks at its interfaces first. A container whose specification names interfaces therefore
//! starts with a small static program in front of the image's own command, the gate (`gate/main.rs`). It
//! waits until the interfaces are up and then becomes the command. `docker inspect` shows the image's own
//! ENTRYPOINT behind the gate's `--`, and its CMD unchanged.
//!
//! # Example
//! ```no_run
//! use llcm_driver_docker::{DockerContainers, DockerOptions};
//! use llcm_runtime::{ContainerDriver, DriverResult, PullPolicy};
//!
//! async fn first_look() -> DriverResult<()> {
//!     let options = DockerOptions::new(DockerOptions::DEFAULT_SOCKET, "/var/lib/llcm/helper");
//!     let docker = DockerContainers::connect(&options).await?;
//!     let image = docker.ensure_image("busybox", PullPolicy::IfMissing, &()).await?;
//!     println!("{:?} runs {:?}", docker.info().await?.version, image.command);
//!     Ok(())
//! }
//! ```
//!
//! Suggested reading order: `options`, `containers` (the steps), `create_body` (the request), `driver` and
//! `view` (what is found, and whose it is), `gate`, `images`, `build`, `export`, `exec`, `logs`, `taken`, `raw` (and what is read through it:
//! `messages`, `streams`), `client`,
//! `map_error`.

mod build;
mod client;
mod containers;
mod create_body;
mod driver;
mod exec;
mod export;
mod gate;
mod images;
mod info;
mod logs;
mod map_error;
mod messages;
mod options;
mod raw;
mod streams;
mod taken;
mod view;
mod watch;

pub use driver::DockerContainers;
pub use options::{Deadlines, DockerOptions};
