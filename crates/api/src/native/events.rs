//! What happens, as it happens.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::ndjson;
use crate::state::ApiState;

/// How often an empty line shows that the connection lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// One event a line, from now on until the client hangs up or the server stops. A client that reads too slowly
/// is told how many it missed (`{"event":"missed","count":n}`) and should look at the lists again.
pub(super) async fn stream(state: Data<ApiState>) -> HttpResponse {
    let (response, lines) = ndjson::reply();
    let mut events = state.orchestrator().events();
    tokio::spawn(async move {
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.tick().await;
        loop {
            let connected = tokio::select! {
                biased;
                event = events.recv() => {
                    let line = match event {
                        Ok(event) => json!(event),
                        Err(RecvError::Lagged(count)) => json!({"event": "missed", "count": count}),
                        Err(RecvError::Closed) => break,
                    };
                    // A client that does not read any more does not keep the server from stopping.
                    tokio::select! {
                        biased;
                        sent = lines.send(&line) => sent,
                        () = state.closing().cancelled() => false,
                    }
                },
                _ = heartbeat.tick() => lines.beat().await,
                () = lines.closed() => false,
                () = state.closing().cancelled() => false,
            };
            if !connected {
                break;
            }
        }
    });
    response
}
