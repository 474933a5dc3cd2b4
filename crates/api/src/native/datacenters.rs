//! Data centers, and those that come and go while services run.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use llcm_names::DcName;
use llcm_topology::{Change, load_datacenter};

use super::Reply;
use super::topology_view::Datacenter;
use crate::access::trail;
use crate::body::Document;
use crate::error::ApiError;
use crate::find;
use crate::state::ApiState;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let all: Vec<_> = state.orchestrator().datacenters().into_iter().map(Datacenter::from).collect();
    HttpResponse::Ok().json(all)
}

pub(super) async fn one(state: Data<ApiState>, name: Path<String>) -> Reply {
    Ok(HttpResponse::Ok().json(shown(&state, &find::datacenter(&name)?)?))
}

pub(super) async fn add(state: Data<ApiState>, body: Document) -> Reply {
    let datacenter = find::read("the data center", "topology", load_datacenter(&body.0))?;
    let name = datacenter.name.clone();
    trail::note("datacenter", &name);
    let topology = state.orchestrator().change_topology(vec![Change::AddDatacenter(datacenter)]).await?;
    // As the change made it: somebody else may have removed it since.
    let made = topology.datacenter(&name).ok_or_else(|| find::no_datacenter(name.as_str()))?;
    Ok(HttpResponse::Created().json(Datacenter::from(state.orchestrator().datacenter_now(made))))
}

pub(super) async fn remove(state: Data<ApiState>, name: Path<String>) -> Reply {
    let name = find::datacenter(&name)?;
    trail::note("datacenter", &name);
    state.orchestrator().change_topology(vec![Change::RemoveDatacenter { name }]).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn shown(state: &ApiState, name: &DcName) -> Result<Datacenter, ApiError> {
    let found = state.orchestrator().datacenters().into_iter().find(|report| report.datacenter.name == *name);
    found.map(Datacenter::from).ok_or_else(|| find::no_datacenter(name.as_str()))
}
