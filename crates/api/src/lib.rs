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
//! use llcm_lifecycle::Orchestrator;
//!
//! # async fn example(orchestrator: Arc<Orchestrator>) -> Result<(), Box<dyn std::error::Error>> {
//! let stop = Arc::new(tokio::sync::Notify::new());
//! let asked = Arc::clone(&stop);
//! let state = ApiState::new(orchestrator, ApiSettings::default(), move || asked.notify_one());
//! let listener = listen("127.0.0.1:5000".parse()?)?;
//! serve(vec![listener], state, async move { stop.notified().await }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Suggested reading order: [`codes`] (every error), `routes` (a resource and its methods), `tango` and
//! [`native`] (the handlers), `guard` (which requests are refused unseen), `upload`, [`openapi`],
//! [`mod@serve`].

pub mod codes;
pub mod error;
pub mod moment;
pub mod native;
pub mod ndjson;
pub mod openapi;
pub mod serve;
pub mod state;

mod body;
mod find;
mod guard;
mod routes;
mod size;
mod tango;
mod upload;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, ServiceConfig};

pub use error::ApiError;
pub use moment::Moment;
pub use ndjson::OutputLine;
pub use serve::{ServeError, listen, serve};
pub use state::{ApiSettings, ApiState};

/// Every resource: its path, as a pattern, and the methods it knows, as `Allow` lists them.
#[must_use]
pub fn resources() -> Vec<(String, String)> {
    let native = native::entries().into_iter().map(|entry| (native::PREFIX, entry));
    let tango = tango::entries().into_iter().map(|entry| ("", entry));
    let described = openapi::entries().into_iter().map(|entry| ("", entry));
    native
        .chain(described)
        .chain(tango)
        .map(|(prefix, entry)| (format!("{prefix}{}", entry.path()), entry.allow()))
        .collect()
}

/// Registers all routes: dialect `tango` and the native ones. Every other URL below the place where this is
/// mounted is answered with 404 and JSON.
pub fn configure(config: &mut ServiceConfig, state: ApiState) {
    let guarded = state.clone();
    let guard = from_fn(move |request, next| guard::around(guarded.clone(), request, next));
    let mut native = web::scope(native::PREFIX).default_service(web::to(routes::unknown));
    for entry in native::entries() {
        native = native.service(entry);
    }
    let mut tango = web::scope("").default_service(web::to(routes::unknown));
    for entry in tango::entries() {
        tango = tango.service(entry);
    }
    let all = web::scope("")
        .app_data(Data::new(state))
        .wrap(guard)
        .service(native)
        .service(openapi::entries())
        .service(tango.wrap(from_fn(guard::readable_by_all)));
    config.service(all);
}
