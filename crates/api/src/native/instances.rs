//! Instances: begun and ended without waiting, shown live.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use llcm_lifecycle::request::InstantiateOptions;
use serde::Deserialize;

use super::Reply;
use super::view::{Instance, Request};
use crate::body::{Object, query};
use crate::find;
use crate::gatekeeper;
use crate::state::ApiState;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    /// Id, package name or `latest`.
    service: String,
    /// The placement algorithm of this instance, in place of the settings'.
    placement: Option<String>,
}

pub(super) async fn create(state: Data<ApiState>, body: Object<Create>) -> Reply {
    let Create { service, placement } = body.0;
    let service = find::service_ref(Some(&service));
    let request = gatekeeper::begin(&state, &service, InstantiateOptions { placement }).await?;
    Ok(HttpResponse::Accepted().json(Request::from(request)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Also what is kept of instances that failed lately.
    #[serde(default)]
    ended: bool,
}

pub(super) async fn list(state: Data<ApiState>, request: HttpRequest) -> Reply {
    let filter: Filter = query(&request)?;
    let instances = state.orchestrator().instances(filter.ended);
    Ok(HttpResponse::Ok().json(instances.into_iter().map(Instance::from).collect::<Vec<_>>()))
}

pub(super) async fn one(state: Data<ApiState>, id: Path<String>) -> Reply {
    let instance = state.orchestrator().instance(find::instance_id(&id)?).await?;
    let instance = instance.ok_or_else(|| find::no_instance(&id))?;
    Ok(HttpResponse::Ok().json(Instance::from(instance)))
}

pub(super) async fn plan(state: Data<ApiState>, id: Path<String>) -> Reply {
    let plan = state.orchestrator().instance_plan(find::instance_id(&id)?);
    Ok(HttpResponse::Ok().json(plan.ok_or_else(|| find::no_instance(&id))?))
}

pub(super) async fn terminate(state: Data<ApiState>, id: Path<String>) -> Reply {
    let request = gatekeeper::end(&state, find::instance_id(&id)?).await?;
    Ok(HttpResponse::Accepted().json(Request::from(request)))
}
