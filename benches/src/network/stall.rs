//! How long the start of a container takes while something else happens: a namespace with a pair of devices is
//! made again and again, which is what of a start waits for the kernel's network lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow};
use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::netns::throw_away;
use llcm_netlink::{NetlinkError, Socket, link};

use crate::stats::Clock;

/// Between the end of one start and the next.
const PAUSE: Duration = Duration::from_millis(5);

/// Starts going on.
pub(crate) struct Starts {
    end: Arc<AtomicBool>,
    running: JoinHandle<Result<Vec<f64>>>,
}

impl Starts {
    /// Begins.
    pub(crate) fn begin() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let seen = end.clone();
        let running = std::thread::spawn(move || {
            let mut times = Vec::new();
            while !seen.load(Ordering::Relaxed) {
                times.push(start()?);
                std::thread::sleep(PAUSE);
            }
            Ok(times)
        });
        Self { end, running }
    }

    /// Ends, and tells what each start took in milliseconds.
    pub(crate) fn end(self) -> Result<Vec<f64>> {
        self.end.store(true, Ordering::Relaxed);
        self.running.join().map_err(|_| anyhow!("the thread that starts containers panicked"))?
    }
}

/// One start, in milliseconds.
fn start() -> Result<f64> {
    let clock = Clock::start();
    let made = throw_away(|| -> Result<f64, NetlinkError> {
        let mut socket = Socket::open()?;
        add_veth(&mut socket, "eth0", 0, 1500, &Peer { name: "far", netns: None, mac: None })?;
        for name in ["lo", "eth0"] {
            if let Some(found) = link::find(&mut socket, name)? {
                link::change(
                    &mut socket,
                    found.device(),
                    &link::Change { up: Some(true), ..Default::default() },
                )?;
            }
        }
        Ok(clock.ms())
    });
    Ok(made??)
}
