//! Onboard, plan, instantiate, terminate: a journalled saga with derived undo.
//!
//! Knows no HTTP and names no concrete driver. [`Orchestrator`] is the one public object; [`request`] has what
//! goes in and comes out.

pub mod clock;
pub mod error;
pub mod orchestrator;
pub mod plan;
pub mod request;
pub mod settings;

pub use clock::{Clock, IdSource, SystemClock, SystemIds, Timestamp};
pub use error::{ErrorCode, LifecycleError};
pub use orchestrator::{Orchestrator, Parts};
pub use settings::{Dialect, Integrity, LinkRule, PlacementSettings, Settings, VcpuRule};
