//! Instances, begun and ended while the client waits.
//!
//! Waiting is all that the client does: what was begun belongs to the server and goes on when it hangs up.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use futures_util::future::join_all;
use llcm_lifecycle::request::{InstanceView, RequestView, ServiceRef};
use llcm_names::{InstanceId, RequestId};
use serde::Deserialize;

use super::{Reply, view};
use crate::body::Object;
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::state::ApiState;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let instances = state.orchestrator().instances(false);
    HttpResponse::Ok().json(instances.into_iter().map(view::Instance::from).collect::<Vec<_>>())
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Create {
    service_uuid: Option<String>,
    service_name: Option<String>,
}

impl Create {
    /// The service meant: by uuid or name in `service_uuid`, else by `service_name`, else the newest.
    pub(super) fn service(&self) -> ServiceRef {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        find::service_ref(given(&self.service_uuid).or_else(|| given(&self.service_name)).as_deref())
    }
}

pub(super) async fn create(state: Data<ApiState>, body: Object<Create>) -> Reply {
    match instantiate(&state, &body.0.service()).await {
        Ok(request) => Ok(HttpResponse::Created().json(view::Instantiated::from(request))),
        Err(error) => plain_not_found(error),
    }
}

/// Instantiates and waits until the instance runs.
pub(super) async fn instantiate(state: &ApiState, service: &ServiceRef) -> Result<RequestView, ApiError> {
    let request = state.orchestrator().instantiate(service).await?;
    finish(state, request).await
}

/// Terminates and waits until the instance is gone.
pub(super) async fn terminate(state: &ApiState, instance: InstanceId) -> Result<RequestView, ApiError> {
    let request = state.orchestrator().terminate(instance).await?;
    finish(state, request).await
}

async fn finish(state: &ApiState, request: RequestView) -> Result<RequestView, ApiError> {
    let RequestView { id, instance_id, .. } = request;
    state.orchestrator().wait(id).await.map_err(|error| {
        ApiError::from(error).detail("instance", instance_id.to_string()).detail("request", id.to_string())
    })
}

/// Existing clients know "not found" as one of two JSON texts.
pub(super) fn plain_not_found(error: ApiError) -> Reply {
    match error.code {
        Code::ServiceNotFound | Code::NoService | Code::InstanceNotFound => {
            Ok(HttpResponse::build(StatusCode::NOT_FOUND).json("Service not found"))
        }
        _ => Err(error),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stop {
    service_uuid: Option<String>,
    service_instance_uuid: Option<String>,
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
    let service = match which.service_uuid.as_deref() {
        None | Some("") => None,
        Some(text) => Some(state.orchestrator().resolve(&find::service_ref(Some(text)))?.id),
    };
    let of_service = |instance: &InstanceView| service.is_none_or(|id| instance.service_id == id);
    let live = state.orchestrator().instances(false).into_iter().filter(of_service);
    match which.service_instance_uuid.as_deref() {
        None | Some("") => Ok(live.map(|instance| instance.id).collect()),
        Some(text) => {
            let id = instance_id(state, text)?;
            let mut found = live.filter(|instance| instance.id == id);
            found.next().map(|instance| vec![instance.id]).ok_or_else(|| find::no_instance(text))
        }
    }
}

/// An instance by its id, or by the id of a request about it: in the originals' reply to an instantiation `id`
/// was the instance's, and clients written against them (tng-cli, tng-bench) may have kept that one.
pub(super) fn instance_id(state: &ApiState, text: &str) -> Result<InstanceId, ApiError> {
    let of_request =
        text.parse::<RequestId>().ok().and_then(|id| state.orchestrator().request(id)).map(|r| r.instance_id);
    of_request.map_or_else(|| find::instance_id(text), Ok)
}
