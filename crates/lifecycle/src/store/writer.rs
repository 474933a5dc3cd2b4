//! Gathers what many tasks write: all that waits goes into one transaction, so that a commit's wait for the
//! disk is shared instead of queued for.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::{Change, Store, StoreError};
use crate::error::{ErrorCode, LifecycleError};

type Reply = oneshot::Sender<Result<(), StoreError>>;

enum Job {
    Write { changes: Vec<Change>, reply: Option<Reply> },
    Close,
}

/// Writes to the store, in the order of the calls.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the task that writes.
    pub(crate) fn start(store: Arc<dyn Store>) -> Self {
        let (jobs, receiver) = mpsc::unbounded_channel();
        Self { jobs, task: Mutex::new(Some(tokio::spawn(run(store, receiver)))) }
    }

    /// Writes what waits, then closes the store; what is written afterwards fails.
    pub(crate) async fn close(&self) {
        // A writer whose task has ended is closed.
        let _ = self.jobs.send(Job::Close);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            log::error!("the store's task ended abnormally: {error}");
        }
    }

    /// Writes changes as one transaction; they are on disk when it returns.
    pub(crate) async fn write(&self, changes: Vec<Change>) -> Result<(), LifecycleError> {
        let (reply, answer) = oneshot::channel();
        let gone =
            || LifecycleError::new(ErrorCode::ShuttingDown, "the store is closed: the server shuts down");
        self.jobs.send(Job::Write { changes, reply: Some(reply) }).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(LifecycleError::from)
    }

    /// Writes changes some time soon, before anything that is written later. For records that only save work
    /// after a crash; when they cannot be written, that is logged.
    pub(crate) fn write_later(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        // A closed writer: the records would have saved work only.
        let _ = self.jobs.send(Job::Write { changes, reply: None });
    }
}

async fn run(store: Arc<dyn Store>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    let mut open = true;
    let gather = store.manner().gather;
    while open && let Some(first) = jobs.recv().await {
        let mut batch = Vec::new();
        let mut replies = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write { changes, reply } => {
                    batch.extend(changes);
                    replies.extend(reply);
                }
                Job::Close => open = false,
            }
            next = if open && batch.len() < gather { jobs.try_recv().ok() } else { None };
        }
        commit(&store, batch, replies).await;
    }
}

async fn commit(store: &Arc<dyn Store>, batch: Vec<Change>, replies: Vec<Reply>) {
    if batch.is_empty() && replies.is_empty() {
        return;
    }
    let result =
        if store.manner().waits { write_aside(Arc::clone(store), batch).await } else { store.write(&batch) };
    if let Err(error) = &result
        && replies.is_empty()
    {
        log::error!("{error}");
    }
    for reply in replies {
        // The caller may have gone; the change is made all the same.
        let _ = reply.send(result.clone());
    }
}

/// Writes on a thread where waiting for the disk does no harm.
async fn write_aside(store: Arc<dyn Store>, batch: Vec<Change>) -> Result<(), StoreError> {
    tokio::task::spawn_blocking(move || store.write(&batch)).await.unwrap_or_else(|error| {
        let reason = format!("the writing thread failed: {error}");
        Err(StoreError::Io { operation: "write", path: String::new(), reason })
    })
}
