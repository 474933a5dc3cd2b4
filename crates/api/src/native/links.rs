//! Links between data centers, as they are and as they are changed while services run.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use llcm_topology::{Change, load_link, load_link_change};

use super::Reply;
use super::topology_view::Link;
use crate::access::trail;
use crate::body::Document;
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::state::ApiState;

pub(super) async fn list(state: Data<ApiState>) -> Reply {
    let links = state.orchestrator().links().await?;
    Ok(HttpResponse::Ok().json(links.into_iter().map(Link::from).collect::<Vec<_>>()))
}

pub(super) async fn one(state: Data<ApiState>, name: Path<String>) -> Reply {
    Ok(HttpResponse::Ok().json(shown(&state, &name).await?))
}

pub(super) async fn change(state: Data<ApiState>, name: Path<String>, body: Document) -> Reply {
    let name = name.into_inner();
    trail::note("link", &name);
    let change = find::read("the change", "topology", load_link_change(&body.0))?;
    let topology =
        state.orchestrator().change_topology(vec![Change::Link { name: name.clone(), change }]).await?;
    Ok(HttpResponse::Ok().json(made(&state, topology.link(&name)).await?))
}

pub(super) async fn add(state: Data<ApiState>, body: Document) -> Reply {
    let link = find::read("the link", "topology", load_link(&body.0, &state.orchestrator().topology()))?;
    link.name.iter().for_each(|name| trail::note("link", name));
    [&link.a, &link.b].iter().for_each(|end| trail::note("datacenter", &end.dc));
    let orchestrator = Arc::clone(state.orchestrator());
    // One without a name is given one.
    let added = trail::kept(async move {
        let changed = orchestrator.change_topology(vec![Change::AddLink(link)]).await;
        // New ones stand behind all others.
        let added = changed.map(|topology| topology.links.last().cloned());
        added.iter().flatten().for_each(|link| trail::note("link", &link.name));
        added
    });
    Ok(HttpResponse::Created().json(made(&state, added.await?.as_ref()).await?))
}

pub(super) async fn remove(state: Data<ApiState>, name: Path<String>) -> Reply {
    trail::note("link", &*name);
    state.orchestrator().change_topology(vec![Change::RemoveLink { name: name.into_inner() }]).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A link as the change made it, whatever has become of it since and whether the host can be asked: the change is made,
/// and an error would have it made twice.
async fn made(state: &ApiState, link: Option<&llcm_topology::Link>) -> Result<Link, ApiError> {
    let link = link.ok_or_else(|| ApiError::new(Code::LinkNotFound, "the link is not there any more"))?;
    Ok(Link::from(state.orchestrator().link_now(link).await))
}

async fn shown(state: &ApiState, name: &str) -> Result<Link, ApiError> {
    let found = state.orchestrator().links().await?.into_iter().find(|report| report.link.name == name);
    let missing = || ApiError::new(Code::LinkNotFound, format!("there is no link {name:?}"));
    found.map(Link::from).ok_or_else(missing)
}
