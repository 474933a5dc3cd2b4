//! Onboard, plan, instantiate, terminate: a journalled saga with derived undo.
//!
//! Knows no HTTP and names no concrete driver. [`Orchestrator`] is the one public object; [`request`] has what
//! goes in and comes out.

pub mod catalog;
pub mod clock;
mod core;
pub mod error;
mod ground;
mod inspect;
pub mod installation;
mod instance;
mod instantiate;
pub mod journal;
mod onboard;
mod open;
pub mod orchestrator;
pub mod package;
pub mod plan;
pub mod recovery;
pub mod request;
pub mod requests;
mod saga;
pub mod script;
pub mod settings;
pub mod state;
pub mod step;
pub mod store;
mod terminate;

pub use clock::{Clock, IdSource, SystemClock, SystemIds, Timestamp};
pub use error::{ErrorCode, LifecycleError};
pub use orchestrator::{Orchestrator, Parts};
pub use settings::{Dialect, Integrity, LinkRule, PlacementSettings, Settings, VcpuRule};
