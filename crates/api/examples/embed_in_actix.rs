//! The REST routes inside an actix-web application of one's own, next to its own page, on simulated drivers.
//!
//! `cargo run -p llcm-api --example embed_in_actix [ADDRESS]` listens on 127.0.0.1:5050 unless told otherwise. It
//! ends on Ctrl-C, or when a client asks it to: `curl -X PUT http://127.0.0.1:5050/nfv/emulator/exit`.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use std::error::Error;
use std::sync::Arc;

use actix_web::{App, HttpServer, web};
use llcm_api::{ApiSettings, ApiState};
use llcm_lifecycle::installation::installation_id;
use llcm_lifecycle::{Orchestrator, Parts, Settings, SystemClock, SystemIds};
use llcm_runtime::simulated::{self, World};
use tokio::sync::Notify;

// Work goes on when the request that began it is gone: on this runtime, which has threads of its own.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5050".to_owned());

    // 1. A life-cycle manager. Real drivers go where the simulated ones are.
    let data_dir = tempfile::tempdir()?;
    let installation = installation_id(data_dir.path(), &SystemIds)?;
    let world = World::new();
    let orchestrator = Orchestrator::open(Parts {
        data_dir: data_dir.path().to_owned(),
        settings: Settings::default(),
        topology: llcm_topology::default_topology(),
        backend: simulated::backend(&world, &installation),
        placement: None,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    })
    .await?;

    // 2. What the routes share, and what happens when a client asks the server to stop.
    let stop = Arc::new(Notify::new());
    let asked = Arc::clone(&stop);
    let settings = ApiSettings { engine: "simulated".to_owned(), ..ApiSettings::default() };
    let state = ApiState::new(Arc::clone(&orchestrator), settings, move || asked.notify_one());

    // 3. The application: the REST routes stand below `/nfv`, everything else is its own.
    let shared = state.clone();
    let server = HttpServer::new(move || {
        let state = shared.clone();
        App::new()
            .service(web::scope("/nfv").configure(move |config| llcm_api::configure(config, state)))
            .route(
                "/",
                web::get().to(async || "This page is the application's own; services run below /nfv.\n"),
            )
    })
    .disable_signals()
    .bind(&address)?;
    for address in server.addrs() {
        println!("listening: try curl http://{address}/nfv/api/llcm/v1/version");
    }
    let server = server.run();

    // 4. The end: replies without an end (events, followed logs) are ended first, then the server, then services.
    let handle = server.handle();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            () = stop.notified() => {}
        }
        state.closing().cancel();
        handle.stop(true).await;
    });
    server.await?;
    orchestrator.shutdown(true).await?;
    println!("stopped; nothing is left: {}", world.is_empty());
    Ok(())
}
