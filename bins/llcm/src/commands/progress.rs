//! Progress bars, drawn on standard error where that is a terminal, and nowhere else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::client::Client;
use crate::client::model::{Event, Request};

/// How often bars move while nothing happens.
const TICK: Duration = Duration::from_millis(120);

/// Shows what goes on at the server while a command waits.
#[derive(Debug)]
pub(crate) struct Progress {
    bars: MultiProgress,
    steps: ProgressBar,
    watched: Watched,
    watcher: JoinHandle<()>,
}

/// The ids of the instances whose steps are shown: others' do not belong to this command.
type Watched = Arc<Mutex<BTreeSet<String>>>;

impl Progress {
    /// Watches a server's events until cleared. Not being able to is no failure of the command: the request
    /// that matters tells what is wrong.
    pub(crate) fn new(client: &Client) -> Self {
        let bars = MultiProgress::new();
        let steps = bars.add(ProgressBar::new_spinner());
        let watched = Watched::default();
        let watcher = tokio::spawn(watch(client.clone(), steps.clone(), Arc::clone(&watched)));
        Self { bars, steps, watched, watcher }
    }

    /// Uploads a package under a bar.
    pub(crate) async fn push(&self, client: &Client, file: &Path) -> anyhow::Result<Value> {
        let size = std::fs::metadata(file).with_context(|| format!("cannot open {}", file.display()))?.len();
        let bar = self.bars.add(ProgressBar::new(size).with_style(style(
            "{msg} [{bar:30}] {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}",
        )));
        bar.set_message("uploading");
        let sent = bar.clone();
        let answer = client
            .push(file, move |bytes| {
                sent.inc(bytes);
                if sent.position() >= size {
                    sent.set_message("checking, fetching images");
                }
            })
            .await;
        bar.finish_and_clear();
        answer
    }

    /// Waits for a request under a bar.
    pub(crate) async fn wait(&self, client: &Client, request: &Request) -> anyhow::Result<Request> {
        lock(&self.watched).insert(request.instance_id.clone());
        self.steps.set_message("waiting");
        self.steps.enable_steady_tick(TICK);
        client.wait(&request.id).await
    }

    /// Writes something while the bars are out of the way.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bars.suspend(write)
    }

    /// Takes all bars away.
    pub(crate) fn clear(self) {
        self.watcher.abort();
        self.steps.finish_and_clear();
        // Where the terminal cannot be written to, there is nothing to be cleared.
        let _ = self.bars.clear();
    }
}

fn lock(watched: &Watched) -> std::sync::MutexGuard<'_, BTreeSet<String>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn watch(client: Client, bar: ProgressBar, watched: Watched) {
    let Ok(mut events) = client.stream("/events", "the events").await else { return };
    while let Ok(Some(event)) = events.next::<Event>().await {
        match event {
            Event::Image { progress } => {
                bar.set_message(format!("image {}: {}", progress.subject, progress.status));
            }
            Event::Step { instance, step, progress: (done, all) } => {
                if lock(&watched).contains(&instance) {
                    bar.set_message(format!("[{done}/{all}] {step}"));
                }
            }
            Event::Other => {}
        }
    }
}

/// A style; the one template is in this file.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
