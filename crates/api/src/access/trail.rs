//! What is written down of requests that change something: before anything is done who asks for what, and before the
//! reply what came of it.
//!
//! When the first cannot be written, nothing is done. When the second cannot, the reply is sent all the same: that the
//! change was asked for is on disk already, and the next one will be refused. A client that hangs up is no end of what
//! it began; then the objects that are known so far are written down without a status.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use llcm_access::{AuditLog, Beginning, End};
use llcm_lifecycle::{Clock as _, Dialect, SystemClock};

use super::callers::Caller;
use crate::codes::Code;
use crate::error::ApiError;
use crate::moment::Moment;
use crate::state::ApiState;

/// What a request turned out to be about, while it is handled.
#[derive(Debug, Default)]
struct Found {
    /// Where its beginning is, and the name of that.
    begun: Option<(Arc<AuditLog>, String)>,
    objects: BTreeMap<String, Vec<String>>,
    code: Option<String>,
}

tokio::task_local! {
    static FOUND: RefCell<Found>;
}

/// Says that the request that is being handled is about an object; outside of one that is followed nothing happens.
pub(crate) fn note(kind: &str, id: impl ToString) {
    let id = id.to_string();
    let _unfollowed = FOUND.try_with(|found| {
        let mut found = found.borrow_mut();
        let ids = found.objects.entry(kind.to_owned()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
    });
}

/// Writes down what the request that is being handled is about, as far as that was noted, before it is done; it is on disk
/// then. For requests whose path does not tell it.
///
/// # Errors
/// `audit-unavailable` when it cannot be written.
pub(crate) async fn write_down() -> Result<(), ApiError> {
    let noted = FOUND.try_with(|found| {
        let found = found.borrow();
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
    let _unfollowed = FOUND.try_with(|found| found.borrow_mut().code = Some(code.to_string()));
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
    let written = tokio::task::spawn_blocking(move || writer.begin(beginning)).await;
    let id = written.map_err(|error| refused(&error))?.map_err(|error| refused(&error))?;
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
    FOUND.scope(RefCell::new(Found { begun: known, ..Found::default() }), followed).await
}

/// Dropped in the middle when the client hangs up; runs within the scope of what was found.
struct Following(Begun);

impl Following {
    async fn end(mut self, status: u16) {
        let Some(id) = self.0.id.take() else { return };
        let (log, end) = (Arc::clone(&self.0.log), found(Some(status)));
        // In its order with the reply: what is acknowledged is in the log.
        let written = tokio::task::spawn_blocking(move || log.end(id, end)).await;
        if let Ok(Err(error)) = written {
            log::error!("the end of a request is not in the audit log: {error}");
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let Some(id) = self.0.id.take() else { return };
        let (log, end) =
            (Arc::clone(&self.0.log), End { code: Some("client-gone".to_owned()), ..found(None) });
        // Not waited for: dropping cannot wait.
        drop(tokio::task::spawn_blocking(move || {
            if let Err(error) = log.end(id, end) {
                log::error!("the end of a request is not in the audit log: {error}");
            }
        }));
    }
}

fn found(status: Option<u16>) -> End {
    let Found { objects, code, .. } =
        FOUND.try_with(|found| std::mem::take(&mut *found.borrow_mut())).unwrap_or_default();
    End { at: now(), status, code, objects }
}

fn now() -> String {
    Moment(SystemClock.now()).to_string()
}
