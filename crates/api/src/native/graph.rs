//! The network with the instances on it.

use actix_web::HttpResponse;
use actix_web::web::Data;

use crate::state::ApiState;

pub(super) async fn show(state: Data<ApiState>) -> HttpResponse {
    HttpResponse::Ok().json(state.orchestrator().graph())
}
