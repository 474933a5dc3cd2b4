//! The REST interfaces, on actix-web.
//!
//! Translates between HTTP and [`llcm_lifecycle::Orchestrator`]: a handler parses, calls, and shows what comes
//! back. It holds no state of its own, decides nothing, and knows no driver. Programs with an actix application
//! of their own mount [`configure`] (`examples/embed_in_actix.rs` does); others call [`serve()`].
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use llcm_api::{ApiSettings, ApiState, listen, serve};
//! use llcm_lifecycle::{Dialect, Orchestrator};
//!
//! # async fn example(orchestrator: Arc<Orchestrator>) -> Result<(), Box<dyn std::error::Error>> {
//! let stop = Arc::new(tokio::sync::Notify::new());
//! let asked = Arc::clone(&stop);
//! let state = ApiState::new(orchestrator, ApiSettings::default(), move || asked.notify_one());
//! let listener = listen("127.0.0.1:5000".parse()?)?;
//! serve(vec![(Dialect::Tango, listener)], state, async move { stop.notified().await }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Suggested reading order: [`codes`] (every error), `routes` (a resource and its methods), `tango`, `sonata` and
//! [`native`] (the handlers), `gatekeeper` (what the first two share), [`access`] (which requests are let in, and what
//! is written down of them), `upload`, [`openapi`], [`mod@serve`].

pub mod access;
pub mod codes;
pub mod error;
pub mod moment;
pub mod native;
pub mod ndjson;
pub mod openapi;
pub mod serve;
pub mod state;

mod body;
mod connection;
mod find;
mod gatekeeper;
mod routes;
mod size;
mod sonata;
mod tango;
mod upload;

use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use llcm_lifecycle::Dialect;

use access::pages;

pub use access::Access;
pub use error::ApiError;
pub use moment::Moment;
pub use ndjson::{CaptureLine, OutputLine};
pub use serve::{Listener, ServeError, listen, serve};
pub use state::{ApiSettings, ApiState};

/// Every resource of a listener of dialect `tango`: its path, as a pattern, and the methods it knows, as `Allow`
/// lists them.
#[must_use]
pub fn resources() -> Vec<(String, String)> {
    resources_of(Dialect::Tango)
}

/// Every resource of a listener of a dialect, likewise: the dialect's own and the native ones.
#[must_use]
pub fn resources_of(dialect: Dialect) -> Vec<(String, String)> {
    let native = native::entries().into_iter().map(|entry| (native::PREFIX, entry));
    let described = described(dialect).into_iter().map(|entry| ("", entry));
    let others = entries(dialect).into_iter().map(|entry| ("", entry));
    native
        .chain(described)
        .chain(others)
        .map(|(prefix, entry)| (format!("{prefix}{}", entry.path()), entry.allow()))
        .collect()
}

fn entries(dialect: Dialect) -> Vec<routes::Entry> {
    match dialect {
        Dialect::Tango => tango::entries(),
        Dialect::Sonata => sonata::entries(),
    }
}

/// The OpenAPI document is that of dialect `tango`: it stands where its routes do.
fn described(dialect: Dialect) -> Vec<routes::Entry> {
    if dialect == Dialect::Tango { openapi::entries() } else { Vec::new() }
}

/// Registers all routes: those of the dialect that the state speaks ([`ApiState::dialect`]) and the native ones.
/// Every other URL below the place where this is mounted is answered with 404 and JSON.
pub fn configure(config: &mut ServiceConfig, state: ApiState) {
    let dialect = state.dialect();
    let guarded = state.clone();
    let guard = from_fn(move |request, next| access::around(guarded.clone(), request, next));
    let mut native = web::scope(native::PREFIX).default_service(web::to(routes::unknown));
    for entry in native::entries() {
        native = native.service(entry);
    }
    let mut others = web::scope("").default_service(web::to(routes::unknown));
    for entry in entries(dialect) {
        others = others.service(entry);
    }
    // Only 5GTANGO's LLCM let web pages read its lists.
    let is_open = dialect == Dialect::Tango;
    let open = Condition::new(is_open, from_fn(pages::readable_by_all));
    let others = others.wrap(open).wrap(Condition::new(!is_open, from_fn(pages::closed_to_foreign)));
    let mut all =
        web::scope("").app_data(Data::new(state)).service(native.wrap(from_fn(pages::closed_to_foreign)));
    for entry in described(dialect) {
        all = all.service(entry);
    }
    config.service(all.service(others).wrap(guard));
}
