//! What is written down of requests that change something: before anything is done who asks for what, and before the
//! reply what came of it.
//!
//! When the first cannot be written, nothing is done. When the second cannot, the reply is sent all the same: that the
//! change was asked for is on disk already, and the next one will be refused. A client that hangs up is no end of what
//! it began; then what it began is written down without a status, once it has ids ([`kept`]).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use llcm_access::{AuditLog, Beginning, End};
use llcm_lifecycle::{Clock as _, Dialect, SystemClock};
use tokio::task::{JoinError, JoinHandle};

use super::callers::Caller;
use crate::codes::Code;
use crate::error::ApiError;
use crate::moment::Moment;
use crate::state::ApiState;

/// What a request turned out to be about, while it is handled.
#[derive(Default)]
struct Found {
    /// Where its beginning is, and the name of that.
    begun: Option<(Arc<AuditLog>, String)>,
    objects: BTreeMap<String, Vec<String>>,
    code: Option<String>,
    /// What goes on although the client has hung up, and will tell more.
    pending: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

type Shared = Arc<Mutex<Found>>;

tokio::task_local! {
    static FOUND: Shared;
}

/// Single changes only, so a panic elsewhere leaves it whole.
fn open(found: &Shared) -> MutexGuard<'_, Found> {
    found.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says that the request that is being handled is about an object; outside of one that is followed nothing happens.
pub(crate) fn note(kind: &str, id: impl ToString) {
    let id = id.to_string();
    let _unfollowed = FOUND.try_with(|found| {
        let mut found = open(found);
        let ids = found.objects.entry(kind.to_owned()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    });
}

/// Does work that goes on when the client hangs up; what it notes is written down then, too.
pub(crate) async fn kept<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let Ok(found) = FOUND.try_with(Arc::clone) else { return work.await };
    let task = tokio::spawn(FOUND.scope(Arc::clone(&found), work));
    let done = Going::new(task, move |task| {
        // Whether it panics or not: there is nobody to be told.
        open(&found).pending.push(Box::pin(async move { drop(task.await) }));
    });
    done.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

/// Waits for a task; one that is not waited for any more is given away.
struct Going<T, F: FnOnce(JoinHandle<T>)> {
    task: Option<JoinHandle<T>>,
    give_away: Option<F>,
}

impl<T, F: FnOnce(JoinHandle<T>)> Going<T, F> {
    fn new(task: JoinHandle<T>, give_away: F) -> Self {
        Self { task: Some(task), give_away: Some(give_away) }
    }
}

impl<T, F: FnOnce(JoinHandle<T>) + Unpin> Future for Going<T, F> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = self.task.as_mut() else { return Poll::Pending };
        let done = ready!(Pin::new(task).poll(context));
        self.task = None;
        Poll::Ready(done)
    }
}

impl<T, F: FnOnce(JoinHandle<T>)> Drop for Going<T, F> {
    fn drop(&mut self) {
        if let (Some(task), Some(give_away)) = (self.task.take(), self.give_away.take()) {
            give_away(task);
        }
    }
}

/// Writes down what the request that is being handled is about, as far as that was noted, before it is done; it is on disk
/// then. For requests whose path does not tell it.
///
/// # Errors
/// `audit-unavailable` when it cannot be written.
pub(crate) async fn write_down() -> Result<(), ApiError> {
    let noted = FOUND.try_with(|found| {
        let found = open(found);
        found.begun.clone().map(|(log, id)| (log, id, found.objects.clone()))
    });
    let Ok(Some((log, id, objects))) = noted else { return Ok(()) };
    let written = tokio::task::spawn_blocking(move || log.about(id, objects)).await;
    written.map_err(|error| refused(&error))?.map_err(|error| refused(&error))
}

/// Nothing is done that cannot be written down.
fn refused(reason: &dyn std::fmt::Display) -> ApiError {
    log::error!("refused a request that cannot be written down: {reason}");
    let message = format!("nothing was changed, because the audit log cannot be written: {reason}");
    ApiError::new(Code::AuditUnavailable, message)
}

/// Says that the request that is being handled fails.
pub(crate) fn note_code(code: Code) {
    let _unfollowed = FOUND.try_with(|found| open(found).code = Some(code.to_string()));
}

/// A request whose beginning is on disk.
pub(super) struct Begun {
    log: Arc<AuditLog>,
    /// Taken when the end is written.
    id: Option<String>,
}

/// Writes down that something is asked for, when there is a log and the route exists.
///
/// # Errors
/// `audit-unavailable` when it cannot be written.
pub(super) async fn begin(
    state: &ApiState,
    request: &ServiceRequest,
    caller: &Caller,
) -> Result<Option<Begun>, ApiError> {
    let (Some(log), Some(route)) = (state.access().audit.clone(), request.match_pattern()) else {
        return Ok(None);
    };
    let dialect = match state.dialect() {
        Dialect::Tango => "tango",
        Dialect::Sonata => "sonata",
    };
    let beginning = Beginning {
        at: now(),
        listener: Some(request.app_config().local_addr().to_string()),
        dialect: Some(dialect.to_owned()),
        peer: request.peer_addr().map(|peer| peer.to_string()),
        by: caller.by.clone(),
        method: request.method().to_string(),
        route,
        path: request.path().to_owned(),
    };
    let writer = Arc::clone(&log);
    let writing = tokio::task::spawn_blocking(move || writer.begin(beginning));
    // It is written when the client hangs up meanwhile, too, and so has an end.
    let followed = Arc::clone(&log);
    let written = Going::new(writing, move |writing| {
        tokio::spawn(async move {
            if let Ok(Ok(id)) = writing.await {
                client_gone(followed, id, Shared::default()).await;
            }
        });
    });
    let id = written.await.map_err(|error| refused(&error))?.map_err(|error| refused(&error))?;
    Ok(Some(Begun { log, id: Some(id) }))
}

/// Lets a request be handled and writes down what came of it.
pub(super) async fn follow<B: MessageBody>(
    begun: Option<Begun>,
    handled: impl Future<Output = Result<ServiceResponse<B>, Error>>,
) -> Result<ServiceResponse<B>, Error> {
    let Some(begun) = begun else { return handled.await };
    let known = begun.id.clone().map(|id| (Arc::clone(&begun.log), id));
    let followed = async move {
        let begun = Following(begun);
        let response = handled.await;
        let status = response.as_ref().map_or(500, |response| response.status().as_u16());
        begun.end(status).await;
        response
    };
    FOUND.scope(Arc::new(Mutex::new(Found { begun: known, ..Found::default() })), followed).await
}

/// Dropped in the middle when the client hangs up; runs within the scope of what was found.
struct Following(Begun);

impl Following {
    async fn end(mut self, status: u16) {
        let Some(id) = self.0.id.take() else { return };
        let found = FOUND.try_with(Arc::clone).unwrap_or_default();
        // In its order with the reply: what is acknowledged is in the log.
        write_end(Arc::clone(&self.0.log), id, &found, Some(status)).await;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let Some(id) = self.0.id.take() else { return };
        let found = FOUND.try_with(Arc::clone).unwrap_or_default();
        // Not waited for: dropping cannot wait.
        tokio::spawn(client_gone(Arc::clone(&self.0.log), id, found));
    }
}

/// Writes down what a client that has hung up has begun, once it is known.
async fn client_gone(log: Arc<AuditLog>, id: String, found: Shared) {
    let pending = std::mem::take(&mut open(&found).pending);
    for pending in pending {
        pending.await;
    }
    open(&found).code = Some("client-gone".to_owned());
    write_end(log, id, &found, None).await;
}

async fn write_end(log: Arc<AuditLog>, id: String, found: &Shared, status: Option<u16>) {
    let Found { objects, code, .. } = std::mem::take(&mut *open(found));
    let end = End { at: now(), status, code, objects };
    let written = tokio::task::spawn_blocking(move || log.end(id, end)).await;
    if let Ok(Err(error)) = written {
        log::error!("the end of a request is not in the audit log: {error}");
    }
}

fn now() -> String {
    Moment(SystemClock.now()).to_string()
}
