//! Packages, and the services and functions in them.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use llcm_lifecycle::Dialect;
use llcm_lifecycle::request::ServiceView;
use serde_json::json;

use super::{Reply, view};
use crate::error::ApiError;
use crate::state::ApiState;
use crate::{find, upload};

pub(super) async fn upload(state: Data<ApiState>, request: HttpRequest, payload: Payload) -> HttpResponse {
    match on_board(&state, &request, payload).await {
        Ok(service) => HttpResponse::Created().json(view::Uploaded::from(service)),
        Err(error) => refused(&error),
    }
}

async fn on_board(
    state: &ApiState,
    request: &HttpRequest,
    payload: Payload,
) -> Result<ServiceView, ApiError> {
    let upload = upload::receive(state, request, payload).await?;
    Ok(state.orchestrator().onboard(upload, Dialect::Tango).await?)
}

/// A failed upload has the fields of a successful one, empty, and says in `error` all that people need.
fn refused(error: &ApiError) -> HttpResponse {
    let mut body = json!({
        "service_uuid": null,
        "size": 0,
        "sha1": null,
        "error": error.message,
        "code": error.code.row().code,
        "diagnostics": error.details.get("diagnostics").cloned().unwrap_or_else(|| json!([])),
    });
    if let Some(others) = error.details.get("others") {
        body["others"] = others.clone();
    }
    error.reply_with(&body)
}

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let services = state.orchestrator().services();
    HttpResponse::Ok().json(services.into_iter().map(view::Package::from).collect::<Vec<_>>())
}

pub(super) async fn one(state: Data<ApiState>, uuid: Path<String>) -> Reply {
    Ok(HttpResponse::Ok().json(view::Package::from(find::service(&state, &uuid)?)))
}

pub(super) async fn remove(state: Data<ApiState>, uuid: Path<String>) -> Reply {
    let service = find::service(&state, &uuid)?;
    state.orchestrator().remove_service(service.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn services(state: Data<ApiState>) -> HttpResponse {
    let services = state.orchestrator().services();
    HttpResponse::Ok().json(services.into_iter().map(view::Service::from).collect::<Vec<_>>())
}

pub(super) async fn functions(state: Data<ApiState>) -> HttpResponse {
    let functions = state.orchestrator().services().into_iter().flat_map(|service| service.functions);
    HttpResponse::Ok().json(functions.map(view::Function::from).collect::<Vec<_>>())
}
