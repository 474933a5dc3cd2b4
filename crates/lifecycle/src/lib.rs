//! The life-cycle of network services: on-board a package, plan an instance of it, make it, watch it, take it
//! down; and be found in a known state after a crash at any moment.
//!
//! Knows no HTTP and names no concrete driver: it works on whatever pair of drivers keeps the contract of
//! `llcm_runtime`. [`Orchestrator`] is the one object to be had; everything else here is what goes in, what
//! comes out, and what is written down in between.
//!
//! # How to embed it
//! ```
//! use std::sync::Arc;
//! use llcm_lifecycle::installation::installation_id;
//! use llcm_lifecycle::request::{InstanceState, ServiceRef, Upload};
//! use llcm_lifecycle::{Dialect, Orchestrator, Parts, Settings, SystemClock, SystemIds};
//! use llcm_runtime::simulated::{self, World};
//! # use std::io::Write;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let data_dir = tempfile::tempdir()?;
//! # let data_dir = data_dir.path().to_owned();
//! let installation = installation_id(&data_dir, &SystemIds)?;
//! let world = World::new();
//! let llcm = Orchestrator::open(Parts {
//!     data_dir,
//!     settings: Settings::default(),
//!     topology: llcm_topology::default_topology(),
//!     backend: simulated::backend(&world, &installation),
//!     placement: None,
//!     clock: Arc::new(SystemClock),
//!     ids: Arc::new(SystemIds),
//! })
//! .await?;
//! # let mut file = llcm.staging_file()?;
//! # let package = llcm_testkit::demo_chain().build();
//! # file.write_all(&package)?;
//! # let (size, sha1) = llcm_packaging::Sha1Reader::new(package.as_slice()).finish()?;
//! # let upload = Upload { file, size, sha1: sha1.parse()? };
//! let service = llcm.onboard(upload, Dialect::Tango).await?;
//! let request = llcm.instantiate(&ServiceRef::Latest).await?;
//! llcm.wait(request.id).await?;
//! assert_eq!(llcm.instances(false)[0].state, InstanceState::Running);
//! assert_eq!(world.snapshot().containers.len(), 3);
//!
//! llcm.shutdown(true).await?;
//! assert!(world.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A placement of one's own goes into [`Parts::placement`]: anything that implements `llcm_placement::Placement`.
//! It is asked for each unit of every plan, with the data centers, what they carry and what was placed so far.
//!
//! # What always holds
//! - **Decide, then act.** The [`plan`] is pure and says everything; acting on it takes no decision. One lock is
//!   held while a plan is made and recorded, so that no two share a name, port, address or id.
//! - **Write down, then act.** The record of the plan is the reservation; every step has its intent on disk
//!   before it is done. See [`journal`].
//! - **Three ends.** An operation ends done, undone, or stuck; stuck is a state that is shown and can be tried
//!   again ([`state`] has all of them). Nothing is called gone before the drivers, asked, know nothing of it.
//! - **Undo is derived**, from the steps that have an intent ([`step::TakeDown`]); a new step does not compile
//!   until somebody has said what takes it back.
//! - **Work belongs to the server.** A caller that drops its future changes nothing; shutting down drains.
//! - **Time.** Every call of a driver has a deadline ([`deadlines`]); what was given up and has its effect later is
//!   found and removed. What is stuck is tried again, later and later, until it is gone.
//! - **Watched.** What happens to containers behind its back is seen, shown and written down: a restarted one is plugged
//!   in again, and with [`Settings::heal`] one that has ended is started again.
//! - **Recovery** is observe, decide ([`recovery::decide`], pure), execute; then the first request is answered.
//!
//! # Suggested reading order
//! [`request`], [`settings`] and [`parts`] (what goes in and out), [`orchestrator`], [`plan`], [`step`], [`journal`], `saga`
//! (makes and unmakes), `instantiate` and `terminate` (the operations around it), `onboard` with [`package`] and `images`, `auto`, [`chains`],
//! `watching` (what happens in between), `retry` and `strays` (what did not end), `timed` (drivers with deadlines),
//! [`recovery`], [`store`], [`topology`] and `ground` (the network that instances stand on), [`schedules`] (its changes over
//! time), [`script`].

mod admission;
mod auto;
pub mod catalog;
pub mod chains;
pub mod clean;
pub mod clock;
mod core;
pub mod deadlines;
mod engines;
pub mod error;
mod facts;
mod graph;
mod ground;
mod images;
mod inspect;
pub mod installation;
mod instance;
mod instantiate;
pub mod journal;
mod known;
mod onboard;
mod open;
pub mod orchestrator;
pub mod package;
pub mod parts;
mod patience;
pub mod plan;
pub mod recovery;
pub mod request;
pub mod requests;
mod retry;
mod saga;
pub mod schedules;
pub mod script;
pub mod settings;
pub mod state;
pub mod step;
pub mod store;
mod strays;
mod terminate;
mod timed;
pub mod topology;
mod traffic;
mod watching;

pub use clock::{Clock, IdSource, SystemClock, SystemIds, Timestamp};
pub use deadlines::{Backoff, Deadlines};
pub use error::{ErrorCode, LifecycleError};
pub use orchestrator::Orchestrator;
pub use parts::Parts;
pub use settings::{Dialect, DialectSettings, Integrity, LinkRule, PlacementSettings, Settings, VcpuRule};
