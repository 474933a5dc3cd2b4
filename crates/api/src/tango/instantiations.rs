//! Instances, begun and ended while the client waits.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use futures_util::future::join_all;
use llcm_lifecycle::request::InstanceView;
use llcm_names::InstanceId;

use super::view;
use crate::body::Object;
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::gatekeeper::{Create, Reply, Stop, instance_id, instantiate, plain_not_found, terminate};
use crate::state::ApiState;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let instances = state.orchestrator().instances(false);
    HttpResponse::Ok().json(instances.into_iter().map(view::Instance::from).collect::<Vec<_>>())
}

pub(super) async fn create(state: Data<ApiState>, body: Object<Create>) -> Reply {
    match instantiate(&state, &body.0).await {
        Ok(request) => Ok(HttpResponse::Created().json(view::Instantiated::from(request))),
        Err(error) => plain_not_found(error),
    }
}

pub(super) async fn stop(state: Data<ApiState>, body: Object<Stop>) -> Reply {
    if state.orchestrator().services().is_empty() {
        return Ok(HttpResponse::build(StatusCode::NOT_FOUND).json("No service on-boarded."));
    }
    let chosen = match select(&state, &body.0) {
        Ok(chosen) => chosen,
        Err(error) => return plain_not_found(error),
    };
    let ends = join_all(chosen.into_iter().map(|instance| terminate(&state, instance))).await;
    // An instance that somebody else terminated in the meantime is gone, as it should be.
    let mut errors = ends.into_iter().filter_map(Result::err).filter(|e| e.code != Code::InstanceNotFound);
    match errors.next() {
        None => Ok(HttpResponse::Ok().json("Service(s) stopped.")),
        Some(first) => {
            let others: Vec<String> = errors.map(|error| error.message).collect();
            Err(if others.is_empty() { first } else { first.detail("others", others) })
        }
    }
}

/// The instances meant: the one given, all of the service given, or all.
fn select(state: &ApiState, which: &Stop) -> Result<Vec<InstanceId>, ApiError> {
    let service = match which.service() {
        None => None,
        Some(text) => Some(state.orchestrator().resolve(&find::service_ref(Some(text)))?.id),
    };
    let of_service = |instance: &InstanceView| service.is_none_or(|id| instance.service_id == id);
    let live = state.orchestrator().instances(false).into_iter().filter(of_service);
    match which.instance() {
        None => Ok(live.map(|instance| instance.id).collect()),
        Some(text) => {
            let id = instance_id(state, text)?;
            let mut found = live.filter(|instance| instance.id == id);
            found.next().map(|instance| vec![instance.id]).ok_or_else(|| find::no_instance(text))
        }
    }
}
