//! A container engine as a library: runs a process of an image in namespaces and cgroups of its own, without a
//! daemon and without another program.
//!
//! It is for emulators that start and stop hundreds of network functions in seconds on one machine. Its
//! isolation keeps the emulation's parts apart; **it is no security boundary** against code that wants out: root
//! in a container is root of the machine with fewer capabilities.
//!
//! # Use
//! The program is its own helper: it must give [`helper::main`] the word, first thing in `main`, when it is
//! started with the arguments of [`Helper`]. `examples/run.rs` is a whole
//! program, `examples/any_user.rs` one that needs no root.
//! ```no_run
//! use llcm_engine::{Engine, ExecSpec, Options, Spec};
//!
//! # fn main() -> Result<(), llcm_engine::EngineError> {
//! let engine = Engine::open(Options::new("/var/lib/example"))?;
//! let created = engine.create(Spec::new("vnf0", "host"))?;
//! // The file `created.network` stands for its network namespace: attach interfaces here.
//! engine.start("vnf0")?;
//! let output = engine.exec("vnf0", &ExecSpec::new(["ip", "link"]))?;
//! assert_eq!(output.code, Some(0));
//! engine.remove("vnf0")?;
//! # Ok(())
//! # }
//! ```
//!
//! # Reading order
//! 1. [`Spec`]: what a container is to be; [`capability`]: what its processes may do.
//! 2. [`Engine`]: create, start, wait, stop, remove, exec, and be told of ends; what is on disk and how a crash is
//!    survived.
//! 3. [`helper`]: the two processes between the engine and the container's program.
//! 4. [`Publish`]: ports of the host that lead to a container; [`HostSockets`]: where their sockets come from.
//! 5. [`image`]: archives of strangers, and the directories made of them.
//! 6. [`rootless`]: all of it for an ordinary user; [`Powers`]: what is different then.
//!
//! `docs/engine.md` tells the whole story.
//!
//! # Limits
//! Needs Linux 5.11 or newer (overlayfs with `userxattr`), and root or user namespaces. Programs for another
//! architecture, 32-bit ones included, are killed by the list of system calls. Terminals are not given to containers.
//! The exit code of a container that ends after the program that started it can be unknown: when it has ended and was
//! reaped while no program ran, and before Linux 6.15 also when its parent is faster (`docs/adr/015`).
//!
//! Without root, containers run as root of a user namespace only, which is the user outside; device nodes are the
//! host's, bound; limits need a cgroup that was given to the user; files of images belong to the user. What is asked
//! for and not possible is refused when the container is created.

pub mod capability;
mod cgroup;
mod engine;
mod error;
mod files;
pub mod helper;
mod host_sockets;
mod ids;
pub mod image;
mod lost;
mod namespaces;
mod patience;
mod powers;
mod process;
mod program;
mod publish;
mod record;
pub mod rootless;
mod seen;
mod spec;

pub use engine::{Damaged, Ended, Engine, ExecOutput, ExecSpec, LogChunk, LogReader, Options, Session};
pub use error::{EngineError, ImageError};
pub use host_sockets::{HostSockets, OwnNamespace, Protocol};
pub use lost::Lost;
pub use powers::{Power, Powers};
pub use program::Helper;
pub use publish::{PUBLISH_NETWORK, Publish, PublishVia, Publishing};
pub use record::{Exit, Inspected, Status};
pub use seen::Seen;
pub use spec::{Bind, Device, Limits, Spec};
