//! What a worker has of one link.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use llcm_tap::{Offload, Tap};

use crate::Impairment;
use crate::error::{Context as _, LineError};
use crate::line::Line;
use crate::lines::LineView;

/// The two devices of a link.
pub(crate) type Taps = Arc<[Tap; 2]>;

/// A link whose frames are moved.
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) token: u64,
    pub(crate) taps: Taps,
    /// By the end that frames came in by.
    pub(crate) lines: [Line; 2],
    pub(crate) scheduled: [Option<Duration>; 2],
}

impl Link {
    pub(crate) fn view(&self) -> LineView {
        LineView {
            name: self.name.clone(),
            impairments: [self.lines[0].impairment(), self.lines[1].impairment()],
            counters: [self.lines[0].counters(), self.lines[1].counters()],
        }
    }
}

/// How large the frames of a direction may be: those that may get lost come one by one.
pub(crate) fn offload(impairment: Impairment) -> Offload {
    if impairment.loss_ppm > 0 { Offload::Packets } else { Offload::Tunnels }
}

/// Closes devices on a thread of its own: the kernel takes its time over it, and frames of other links are not to wait for
/// that.
#[derive(Debug)]
pub(crate) struct Closer {
    taps: Option<Sender<Taps>>,
    thread: Option<JoinHandle<()>>,
}

impl Closer {
    pub(crate) fn start() -> Result<Self, LineError> {
        let (sender, taps) = channel::<Taps>();
        let thread = std::thread::Builder::new().name("delay-line-close".to_owned());
        let thread = thread.spawn(move || taps.iter().for_each(drop)).during("start thread")?;
        Ok(Self { taps: Some(sender), thread: Some(thread) })
    }

    /// A way to hand it devices.
    pub(crate) fn hand(&self) -> impl Fn(Taps) + Send + use<> {
        let taps = self.taps.clone();
        move |of| {
            if let Some(taps) = &taps {
                // When that thread has ended they are closed here.
                let _ = taps.send(of);
            }
        }
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.taps = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("a thread of the delay line panicked");
        }
    }
}
