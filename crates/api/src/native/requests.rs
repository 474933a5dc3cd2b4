//! Requests, followed by polling or by waiting.

use std::time::Duration;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;

use super::Reply;
use super::view::Request;
use crate::body::query;
use crate::find;
use crate::state::ApiState;

/// The longest that a reply waits, in seconds; a client that wants to wait longer asks again.
const LONGEST: u64 = 60;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let requests: Vec<_> = state.orchestrator().requests().into_iter().map(Request::from).collect();
    HttpResponse::Ok().json(requests)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patience {
    /// Seconds to wait for the request's end.
    #[serde(default)]
    wait: u64,
}

/// A request that failed is shown as one that failed: this reply's own status is 200 all the same.
pub(super) async fn one(state: Data<ApiState>, request: HttpRequest, id: Path<String>) -> Reply {
    let Patience { wait } = query(&request)?;
    let mut view = find::request(&state, &id)?;
    if wait > 0 {
        let done = state.orchestrator().wait(view.id);
        tokio::select! {
            _outcome = done => {}
            () = tokio::time::sleep(Duration::from_secs(wait.min(LONGEST))) => {}
            () = state.closing().cancelled() => {}
        }
        view = find::request(&state, &id)?;
    }
    Ok(HttpResponse::Ok().json(Request::from(view)))
}
