//! Changes of links over time, which the server makes by itself.

use std::time::Duration;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use llcm_topology::load_schedule;
use serde::Deserialize;

use super::Reply;
use super::topology_view::Schedule;
use crate::access::trail;
use crate::body::{Document, query};
use crate::find;
use crate::state::ApiState;

/// The longest that a reply waits, in seconds; a client that wants to wait longer asks again.
const LONGEST: u64 = 60;

/// Links of one schedule that are written down in the audit log.
const NOTED: usize = 100;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let all: Vec<_> = state.orchestrator().schedules().into_iter().map(Schedule::from).collect();
    HttpResponse::Ok().json(all)
}

pub(super) async fn play(state: Data<ApiState>, body: Document) -> Reply {
    let schedule = find::read("the schedule", "schedule", load_schedule(&body.0))?;
    let view = state.orchestrator().play(schedule)?;
    trail::note("schedule", view.id);
    // Those of what was refused can be anything, and thousands.
    view.links.iter().take(NOTED).for_each(|link| trail::note("link", link));
    Ok(HttpResponse::Created().json(Schedule::from(view)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patience {
    /// Seconds to wait for the schedule's end.
    #[serde(default)]
    wait: u64,
}

pub(super) async fn one(state: Data<ApiState>, request: HttpRequest, id: Path<String>) -> Reply {
    let Patience { wait } = query(&request)?;
    let id = find::schedule_id(&id)?;
    if wait > 0 {
        tokio::select! {
            _outcome = state.orchestrator().schedule_ended(id) => {}
            () = tokio::time::sleep(Duration::from_secs(wait.min(LONGEST))) => {}
            () = state.closing().cancelled() => {}
        }
    }
    Ok(HttpResponse::Ok().json(Schedule::from(state.orchestrator().schedule(id)?)))
}

/// What has become of it: one that runs is stopped, one that has ended is forgotten.
pub(super) async fn stop(state: Data<ApiState>, id: Path<String>) -> Reply {
    let id = find::schedule_id(&id)?;
    trail::note("schedule", id);
    let view = state.orchestrator().stop_schedule(id).await?;
    Ok(HttpResponse::Ok().json(Schedule::from(view)))
}
