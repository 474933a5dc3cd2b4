//! Packages and the services in them.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::Reply;
use super::view::Service;
use crate::state::ApiState;
use crate::{find, gatekeeper, upload};

pub(super) async fn upload(state: Data<ApiState>, request: HttpRequest, payload: Payload) -> Reply {
    let upload = upload::receive(&state, &request, payload).await?;
    let accepted = gatekeeper::accept(&state, upload).await?;
    Ok(HttpResponse::Created().json(Service::from(accepted.service)))
}

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let services: Vec<_> = state.orchestrator().services().into_iter().map(Service::from).collect();
    HttpResponse::Ok().json(services)
}

pub(super) async fn one(state: Data<ApiState>, id: Path<String>) -> Reply {
    Ok(HttpResponse::Ok().json(Service::from(find::service(&state, &id)?)))
}

pub(super) async fn remove(state: Data<ApiState>, id: Path<String>) -> Reply {
    let service = find::service(&state, &id)?;
    gatekeeper::remove(&state, service.id).await?;
    Ok(HttpResponse::NoContent().finish())
}
