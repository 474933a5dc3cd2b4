//! The program's own routes under `/api/llcm/v1`: what its command line client speaks.
//!
//! Where the dialects' routes wait for what they began, as the emulators' clients expect, these answer at once
//! with a request to be followed. `docs/rest.md` has every route.

mod audit;
mod chains;
mod containers;
mod datacenters;
mod events;
mod graph;
mod instances;
mod links;
mod packages;
mod requests;
mod schedules;
pub mod topology_view;
mod traffic;
pub mod view;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::Data;

use crate::error::ApiError;
use crate::routes::Entry;
use crate::state::ApiState;

/// Where these routes stand.
pub const PREFIX: &str = "/api/llcm/v1";

/// What a handler returns.
type Reply = Result<HttpResponse, ApiError>;

/// All routes, their paths relative to [`PREFIX`].
pub(crate) fn entries() -> Vec<Entry> {
    vec![
        Entry::at("/version").get(version),
        Entry::at("/health").get(health),
        Entry::at("/packages").on(Method::POST, packages::upload),
        Entry::at("/services").get(packages::list),
        Entry::at("/services/{id}").get(packages::one).on(Method::DELETE, packages::remove),
        Entry::at("/instances").get(instances::list).on(Method::POST, instances::create),
        Entry::at("/instances/{id}").get(instances::one).on(Method::DELETE, instances::terminate),
        Entry::at("/instances/{id}/plan").get(instances::plan),
        Entry::at("/instances/{id}/chains")
            .get(chains::list)
            .on(Method::POST, chains::create)
            .on(Method::DELETE, chains::remove_all),
        Entry::at("/instances/{id}/chains/{chain}").on(Method::DELETE, chains::remove),
        Entry::at("/instances/{id}/containers/{name}/exec").on(Method::POST, containers::exec),
        Entry::at("/instances/{id}/containers/{name}/logs").stream(containers::logs),
        Entry::at("/instances/{id}/stats").get(traffic::of_instance),
        Entry::at("/stats/links").get(traffic::of_links),
        Entry::at("/captures").on(Method::POST, traffic::capture),
        Entry::at("/requests").get(requests::list),
        Entry::at("/requests/{id}").get(requests::one),
        Entry::at("/links").get(links::list).on(Method::POST, links::add),
        Entry::at("/links/{name}")
            .get(links::one)
            .on(Method::PATCH, links::change)
            .on(Method::DELETE, links::remove),
        Entry::at("/datacenters").get(datacenters::list).on(Method::POST, datacenters::add),
        Entry::at("/datacenters/{name}").get(datacenters::one).on(Method::DELETE, datacenters::remove),
        Entry::at("/schedules").get(schedules::list).on(Method::POST, schedules::play),
        Entry::at("/schedules/{id}").get(schedules::one).on(Method::DELETE, schedules::stop),
        Entry::at("/graph").get(graph::show),
        Entry::at("/audit").get(audit::list),
        Entry::at("/events").stream(events::stream),
    ]
}

async fn version(state: Data<ApiState>) -> HttpResponse {
    let settings = state.settings();
    HttpResponse::Ok().json(view::Version {
        version: settings.version.clone(),
        engine: settings.engine.clone(),
        installation: settings.installation.clone(),
    })
}

async fn health(state: Data<ApiState>) -> HttpResponse {
    let status = if state.closing().is_cancelled() { "closing" } else { "ok" };
    HttpResponse::Ok().json(view::Health { status: status.to_owned() })
}
