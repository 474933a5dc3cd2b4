//! Who changed what, from the audit log.

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use llcm_access::Filter;
use serde::Deserialize;

use super::Reply;
use crate::access::callers;
use crate::body::query;
use crate::codes::Code;
use crate::error::ApiError;
use crate::moment::Moment;
use crate::state::ApiState;

/// The most events of a reply.
const MOST: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    /// The id of an instance, a service or a request.
    about: Option<String>,
    /// RFC 3339.
    since: Option<String>,
    limit: Option<usize>,
}

/// Not for tokens for reading: it tells where the others come from and what they do.
pub(super) async fn list(state: Data<ApiState>, request: HttpRequest) -> Reply {
    callers::check_full(&request)?;
    let Which { about, since, limit } = query(&request)?;
    let bad = |reason| ApiError::new(Code::BadRequest, format!("the query cannot be understood: {reason}"));
    let since = since.map(|text| Moment::parse(&text)).transpose().map_err(bad)?;
    let filter = Filter {
        about,
        since: since.map(|moment| moment.to_string()),
        limit: Some(limit.unwrap_or(1000).min(MOST)),
    };
    let Some(log) = state.access().audit.clone() else {
        return Ok(HttpResponse::Ok().json([(); 0]));
    };
    let unreadable = |reason: String| ApiError::new(Code::StoreFailed, format!("the audit log: {reason}"));
    let events = tokio::task::spawn_blocking(move || log.read(&filter))
        .await
        .map_err(|error| unreadable(error.to_string()))?
        .map_err(|error| unreadable(error.to_string()))?;
    Ok(HttpResponse::Ok().json(events))
}
