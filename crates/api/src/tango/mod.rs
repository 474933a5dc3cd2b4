//! Dialect `tango`: the routes of the 5GTANGO life-cycle manager that vim-emu shipped.
//!
//! Its clients (`curl` in scripts, tng-cli, tng-bench) rely on more than the shapes: an instantiation is answered
//! when the containers run, errors about unknown services are plain JSON texts, and lists are arrays.

mod instantiations;
mod packages;
mod requests;
mod view;

use actix_web::http::Method;

use crate::gatekeeper::{exit, upload};
use crate::routes::Entry;

/// All routes under all their prefixes.
pub(crate) fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for prefix in ["", "/api/v2", "/api/v3"] {
        let at = |path: &str| Entry::at(format!("{prefix}{path}"));
        all.extend([
            at("/packages").get(packages::list).on(Method::POST, upload),
            at("/packages/{uuid}").get(packages::one).on(Method::DELETE, packages::remove),
            at("/services").get(packages::services),
            at("/functions").get(packages::functions),
        ]);
    }
    for prefix in ["", "/api/v2"] {
        all.push(
            Entry::at(format!("{prefix}/instantiations"))
                .get(instantiations::list)
                .on(Method::POST, instantiations::create)
                .on(Method::DELETE, instantiations::stop),
        );
    }
    for prefix in ["/api/v2", "/api/v3"] {
        all.extend([
            Entry::at(format!("{prefix}/requests")).get(requests::list).on(Method::POST, requests::create),
            Entry::at(format!("{prefix}/requests/{{id}}")).get(requests::one),
        ]);
    }
    all.push(Entry::at("/api/v3/records/services").get(instantiations::list));
    all.push(Entry::at("/emulator/exit").on(Method::PUT, exit));
    all
}
