//! Ending on request: the first signal drains, the second one ends at once.

use std::future::Future;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a program that a second SIGINT or SIGTERM ended.
const INTERRUPTED: i32 = 130;

/// From now on, signals are requests: the future resolves at the first SIGINT or SIGTERM. A second one ends
/// the program at once: what is on its way is then taken down at the next start.
///
/// # Errors
/// When signals cannot be listened to.
pub(crate) fn listen() -> anyhow::Result<impl Future<Output = ()>> {
    let failed = "cannot listen to signals";
    let mut interrupt = signal(SignalKind::interrupt()).context(failed)?;
    let mut terminate = signal(SignalKind::terminate()).context(failed)?;
    Ok(async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        log::info!("{name}: finishing what is going on; once more to end at once");
        tokio::spawn(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            log::warn!("ending at once; the next start takes down what was on its way");
            leave();
        });
    })
}

#[expect(clippy::exit, reason = "ending at once is what the second signal asks for")]
fn leave() -> ! {
    std::process::exit(INTERRUPTED)
}
