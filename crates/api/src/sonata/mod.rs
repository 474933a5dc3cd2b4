//! Dialect `sonata`: the routes of SONATA's dummy gatekeeper that vim-emu shipped, on a listener of their own.
//!
//! Its clients (`curl` in scripts, son-access, son-profile) find ids in lists within an object, stop one instance
//! at a time, and know no requests: `/api/v2/requests` is another name of `/instantiations`.

mod instantiations;
mod view;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::Data;

use crate::gatekeeper::{exit, upload};
use crate::routes::Entry;
use crate::state::ApiState;

/// All routes under all their prefixes.
pub(crate) fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for path in ["/packages", "/api/v2/packages"] {
        all.push(Entry::at(path).get(packages).on(Method::POST, upload));
    }
    for path in ["/instantiations", "/api/v2/instantiations", "/api/v2/requests"] {
        all.push(
            Entry::at(path)
                .get(instantiations::list)
                .on(Method::POST, instantiations::create)
                .on(Method::DELETE, instantiations::stop),
        );
    }
    all.push(Entry::at("/emulator/exit").on(Method::PUT, exit));
    all
}

/// `GET /packages`.
async fn packages(state: Data<ApiState>) -> HttpResponse {
    let services = state.orchestrator().services();
    HttpResponse::Ok().json(view::Packages::from(services))
}
