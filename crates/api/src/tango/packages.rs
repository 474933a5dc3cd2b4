//! Packages, and the services and functions in them.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};

use super::view;
use crate::find;
use crate::gatekeeper::{self, Reply};
use crate::state::ApiState;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let services = state.orchestrator().services();
    HttpResponse::Ok().json(services.into_iter().map(view::Package::from).collect::<Vec<_>>())
}

pub(super) async fn one(state: Data<ApiState>, uuid: Path<String>) -> Reply {
    Ok(HttpResponse::Ok().json(view::Package::from(find::service(&state, &uuid)?)))
}

pub(super) async fn remove(state: Data<ApiState>, uuid: Path<String>) -> Reply {
    let service = find::service(&state, &uuid)?;
    gatekeeper::remove(&state, service.id).await?;
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
