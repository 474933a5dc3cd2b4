//! Links that take their time: two TAP devices joined by lines of frames that wait, get lost and arrive later, for
//! kernels without netem.
//!
//! ```text
//!  device a ──read──> [ line a to b: loss, then delay ± jitter, in order ] ──write──> device b
//!           <─write── [ line b to a ..................................... ] <──read──
//! ```
//! Each direction has an [`Impairment`] of its own, which can be changed while frames are on their way: it applies to
//! those, too, so that a change takes effect at once; none is lost by it and none overtakes another. Bandwidth is not
//! limited here: a token bucket at the sending device does that.
//!
//! A [`Line`] is one direction, pure, with the time handed in. [`Lines`] holds many links and moves their frames on
//! threads of its own. Frames stop when the program that has the `Lines` ends; [`helper`] is a program that outlives its
//! starter, and a [`Keeper`] is either, so that callers need not care.
//!
//! ```no_run
//! use std::time::Duration;
//! use llcm_delayline::{Impairment, Lines, Tap};
//!
//! # fn main() -> Result<(), llcm_delayline::LineError> {
//! let (a, b) = (Tap::create("a")?, Tap::create("b")?);
//! let slow = Impairment { delay: Duration::from_millis(10), ..Impairment::default() };
//! let lines = Lines::start()?;
//! lines.put("a-b", [a.into(), b.into()], [slow, slow])?;
//! // ... and later, with what is on its way:
//! let slower = Impairment { delay: Duration::from_millis(20), ..slow };
//! lines.set("a-b", [slower, slower])?;
//! # Ok(())
//! # }
//! ```
//!
//! # What it costs
//! Frames are copied out of the kernel and in again. With the offloads of [`llcm_tap`] a frame is up to 64 KiB of a flow;
//! where packets get lost at random each comes alone, since otherwise one loss would be that of many.

mod budget;
mod client;
mod drift;
mod error;
mod handle;
pub mod helper;
mod impairment;
mod keeper;
mod line;
mod lines;
mod link;
mod protocol;
mod vigil;
mod worker;

pub use error::LineError;
pub use helper::Helper;
pub use impairment::Impairment;
pub use keeper::Keeper;
pub use line::{Counters, Line, Offer};
pub use lines::{LineView, Lines};
pub use llcm_tap::{Offload, Tap};
pub use worker::try_precedence;
