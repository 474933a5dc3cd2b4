//! Chains of an instance: added, listed and removed, all of it done when the reply comes.

use std::sync::Arc;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use llcm_lifecycle::chains::{COOKIE, ChainRequest, EndRef, PRIORITY, Which};
use llcm_names::SegmentId;
use serde::Deserialize;

use super::Reply;
use super::view::Chain;
use crate::access::trail;
use crate::body::{Object, query};
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::state::ApiState;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    /// `container:interface`, or `container` for its first interface.
    source: String,
    destination: String,
    #[serde(default)]
    bidirectional: bool,
    #[serde(default, rename = "match")]
    matches: String,
    #[serde(default = "priority")]
    priority: u16,
    #[serde(default = "cookie")]
    cookie: u64,
}

fn priority() -> u16 {
    PRIORITY
}

fn cookie() -> u64 {
    COOKIE
}

pub(super) async fn create(state: Data<ApiState>, id: Path<String>, body: Object<Create>) -> Reply {
    let instance = find::instance_id(&id)?;
    trail::note("instance", instance);
    let Create { source, destination, bidirectional, matches, priority, cookie } = body.0;
    let (source, destination) = (end(&source), end(&destination));
    let request = ChainRequest { source, destination, bidirectional, matches, priority, cookie };
    let orchestrator = Arc::clone(state.orchestrator());
    let added = trail::kept(async move {
        let added = orchestrator.add_chain(instance, request).await;
        added.iter().for_each(|chain| trail::note("chain", chain.id));
        added
    });
    let chain = added.await?;
    Ok(HttpResponse::Created().json(Chain::from(chain)))
}

/// Names of containers have no colon; interfaces' connection points may.
fn end(text: &str) -> EndRef {
    let text = text.trim();
    // `ns:input` is an access point, not an interface of something called `ns`.
    let (prefix, rest) = text.strip_prefix("ns:").map_or(("", text), |rest| ("ns:", rest));
    let (container, interface) = match rest.split_once(':') {
        Some((container, interface)) => (container, Some(interface.to_owned())),
        None => (rest, None),
    };
    EndRef { container: format!("{prefix}{container}"), interface }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    /// Only those of this cookie.
    cookie: Option<u64>,
}

pub(super) async fn list(state: Data<ApiState>, request: HttpRequest, id: Path<String>) -> Reply {
    let Filter { cookie } = query(&request)?;
    let chains = state.orchestrator().chains(find::instance_id(&id)?)?;
    let meant = chains.into_iter().filter(|chain| cookie.is_none_or(|cookie| chain.cookie == cookie));
    Ok(HttpResponse::Ok().json(meant.map(Chain::from).collect::<Vec<_>>()))
}

/// All of a cookie, which has to be given: nobody removes everything by leaving something out.
pub(super) async fn remove_all(state: Data<ApiState>, request: HttpRequest, id: Path<String>) -> Reply {
    let Filter { cookie } = query(&request)?;
    let instance = find::instance_id(&id)?;
    trail::note("instance", instance);
    let cookie = cookie.ok_or_else(|| {
        ApiError::new(
            Code::BadRequest,
            "the query names no cookie: `?cookie=10` removes all chains with that one",
        )
    })?;
    // Before anything can fail: a removal that fails half-way has removed some of them.
    let meant = state.orchestrator().chains(instance)?;
    meant.iter().filter(|chain| chain.cookie == cookie).for_each(|chain| trail::note("chain", chain.id));
    let orchestrator = Arc::clone(state.orchestrator());
    let removed = trail::kept(async move {
        // Somebody may have added some meanwhile.
        let removed = orchestrator.remove_chains(instance, Which::Cookie(cookie)).await;
        removed.iter().flatten().for_each(|chain| trail::note("chain", chain.id));
        removed
    });
    let removed = removed.await?;
    Ok(HttpResponse::Ok().json(removed.into_iter().map(Chain::from).collect::<Vec<_>>()))
}

pub(super) async fn remove(state: Data<ApiState>, at: Path<(String, String)>) -> Reply {
    let instance = find::instance_id(&at.0)?;
    trail::note("instance", instance);
    let chain = at.1.parse().ok().and_then(|number: u32| SegmentId::try_from(number).ok());
    let chain = chain
        .ok_or_else(|| ApiError::new(Code::ChainNotFound, format!("no chain has the number {:?}", at.1)))?;
    trail::note("chain", chain);
    state.orchestrator().remove_chains(instance, Which::One(chain)).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_containers_with_or_without_an_interface() {
        for (text, container, interface) in [
            ("vnf0:output", "vnf0", Some("output")),
            ("vnf0.vdu01.0", "vnf0.vdu01.0", None),
            (" vnf0:cp:1 ", "vnf0", Some("cp:1")),
            ("ns:input", "ns:input", None),
            ("ns:input:sap0", "ns:input", Some("sap0")),
        ] {
            let interface = interface.map(str::to_owned);
            assert_eq!(end(text), EndRef { container: container.to_owned(), interface }, "{text}");
        }
    }
}
