//! The driver contract: what a container engine and an emulated network must do for a life-cycle manager,
//! as two traits and plain values.
//!
//! Knows no real engine. It brings the simulated drivers ([`simulated`]), which are a product feature (run
//! everything without privileges), and one contract suite (`contract`, feature `contract`) that every
//! driver passes. Drivers that work together are a [`Backend`]: one network driver, a container driver, and others for
//! data centers that have an engine of their own.
//!
//! ```
//! use llcm_names::InstallationId;
//! use llcm_runtime::simulated::{self, World};
//! use llcm_runtime::{Backend, PullPolicy};
//!
//! async fn fetch(backend: &Backend) -> Result<String, llcm_runtime::DriverError> {
//!     let image = backend.containers().ensure_image("busybox", PullPolicy::IfMissing, &()).await?;
//!     Ok(image.id)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), llcm_runtime::DriverError> {
//! let backend = simulated::backend(&World::new(), &InstallationId::from_bits(1));
//! assert!(fetch(&backend).await?.starts_with("sha256:"));
//! # Ok(())
//! # }
//! ```
//!
//! # The contract in words
//! - **Order.** `prepare`, `ensure_segment` of every segment, then per container `ensure_image`, `create`,
//!   `start`, `attach` of every port; in reverse to take down. There is one path for all drivers.
//! - **Repeatable.** `ensure_*`, `create`, `start` and `attach` may be repeated: same name, same
//!   [`Owner`](llcm_names::Owner) and same spec is success; same name with another owner or spec is
//!   [`ErrorKind::Conflict`]. `stop`, `remove`, `detach` and `remove_segment` of something absent is success.
//! - **Nothing invented.** Drivers are told every name and address. What an engine insists on choosing comes
//!   back in a view.
//! - **Nothing hidden.** What a driver creates carries the owner's mark; `list_owned` rebuilds all a driver
//!   knows, so no driver keeps state of its own that matters after a restart. Objects without the mark are
//!   never touched.
//! - **Others first.** `taken` tells which names and host ports others hold, so that a plan keeps clear of
//!   them; a driver that cannot know tells nothing, and then the clash shows when a container is made.
//! - **Asked first.** `check` tells before anything is made whether a container can be run here; what it refuses is
//!   named.
//! - **Watched.** `watch` tells what happens to containers behind the caller's back, with a word for every gap; an attach
//!   point tells one run of a container from the next, so that whoever looks again knows whether to plug it in again.
//! - **Errors** say what was done to what ([`DriverError`]), with the kind the caller branches on.
//! - **Cancellation.** Every await may be the last: a dropped future leaves at worst a marked object, which
//!   the matching removal removes.
//! - **Optional powers** (exec, logs, names of management interfaces, chains, counters, capture) are traits of their own,
//!   reached through `Option`.
//!
//! Suggested reading order: [`container_spec`], [`container`], [`network_spec`], [`network`], [`attach`],
//! [`chain`], [`mod@frame_match`], [`taken`], [`watch`], [`capability`], [`traffic`], [`mod@reference`], [`backend`], [`error`], [`simulated`]; [`labels`] and [`host`]
//! are for drivers.

pub mod attach;
pub mod backend;
pub mod capability;
pub mod chain;
pub mod container;
pub mod container_spec;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod error;
pub mod frame_match;
pub mod host;
pub mod labels;
pub mod management;
pub mod network;
pub mod network_spec;
pub mod reference;
pub mod simulated;
pub mod taken;
pub mod traffic;
pub mod watch;

pub use attach::{AttachPoint, EngineId, Needs, Offers};
pub use backend::{Backend, Incompatible};
pub use capability::{Exec, ExecOutcome, ExecSpec, LogOptions, Logs, OutputChunk, OutputSink, OutputStream};
pub use chain::{ChainEnd, ChainSpec, Chains};
pub use container::{
    ContainerDriver, ContainerState, ContainerView, EngineInfo, ImageView, Progress, ProgressEvent,
};
pub use container_spec::{
    Bind, BuildSpec, ContainerSpec, CpuLimit, Device, ExposedPort, PortBinding, PullPolicy,
};
pub use error::{DriverError, DriverResult, ErrorKind};
pub use frame_match::{FrameMatch, MaskedMac, MatchError};
pub use management::{Management, ManagementSpec};
pub use network::{HostSide, LinkView, NetworkDriver, NetworkObject, NotEmulated, PortView, PrepareReport};
pub use network_spec::{HostPort, Neighbour, PortSpec, SegmentEnd, SegmentKind, SegmentSpec, TreeRole};
pub use reference::ImageReference;
pub use taken::{HeldPort, Taken};
pub use traffic::{
    Capture, CaptureEnd, CapturePoint, CaptureSpec, Counters, Counts, Direction, Frame, FrameSink,
    LinkCounts, PortCounts,
};
pub use watch::{ContainerChange, ContainerEvent, ContainerWatch};
