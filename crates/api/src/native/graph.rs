//! The network with the instances on it.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;

use super::Reply;
use crate::codes::Code;
use crate::error::ApiError;
use crate::state::ApiState;

/// Its size is that of all instances, and of the paths between their data centers: it is not made where requests are
/// answered.
pub(super) async fn show(state: Data<ApiState>) -> Reply {
    let made = tokio::task::spawn_blocking(move || serde_json::to_vec(&state.orchestrator().graph())).await;
    let failed = |error: String| {
        let message = format!("the graph cannot be told, which is an error in this program: {error}");
        ApiError::new(Code::StoreFailed, message)
    };
    let written = made.map_err(|error| failed(error.to_string()))?;
    let written = written.map_err(|error| failed(error.to_string()))?;
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(written))
}
