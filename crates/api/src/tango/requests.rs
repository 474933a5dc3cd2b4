//! Requests, as 5GTANGO's gatekeeper names them.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use serde::Deserialize;

use super::view;
use crate::body::Object;
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::gatekeeper::{Create, Reply, instance_id, instantiate, plain_not_found, terminate};
use crate::state::ApiState;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    let requests = state.orchestrator().requests();
    HttpResponse::Ok().json(requests.into_iter().map(view::Request::from).collect::<Vec<_>>())
}

pub(super) async fn one(state: Data<ApiState>, id: Path<String>) -> Reply {
    Ok(HttpResponse::Ok().json(view::Request::from(find::request(&state, &id)?)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    request_type: Option<String>,
    instance_uuid: Option<String>,
    #[serde(flatten)]
    create: Create,
}

pub(super) async fn create(state: Data<ApiState>, body: Object<Body>) -> Reply {
    let Body { request_type, instance_uuid, create } = body.0;
    match request_type.as_deref() {
        None | Some("CREATE_SERVICE") => match instantiate(&state, &create).await {
            Ok(request) => Ok(HttpResponse::Created().json(view::Instantiated::from(request))),
            Err(error) => plain_not_found(error),
        },
        Some("TERMINATE_SERVICE") => {
            let missing = || {
                ApiError::new(
                    Code::BadRequest,
                    "TERMINATE_SERVICE needs the instance's id in `instance_uuid`",
                )
            };
            let id = instance_id(&state, &instance_uuid.ok_or_else(missing)?)?;
            let request = terminate(&state, id).await?;
            Ok(HttpResponse::Created().json(view::Terminated::from(request)))
        }
        Some(other) => Err(ApiError::new(
            Code::BadRequest,
            format!("the request type {other:?} is not known: CREATE_SERVICE or TERMINATE_SERVICE"),
        )),
    }
}
