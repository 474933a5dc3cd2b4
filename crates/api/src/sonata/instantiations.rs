//! Instances, begun and ended while the client waits.

use actix_web::HttpResponse;
use actix_web::web::Data;
use llcm_lifecycle::request::ServiceView;
use llcm_names::InstanceId;

use super::view;
use crate::body::Object;
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::gatekeeper::{Create, Reply, Stop, instance_id, instantiate, plain_not_found, terminate};
use crate::state::ApiState;

pub(super) async fn list(state: Data<ApiState>) -> HttpResponse {
    HttpResponse::Ok().json(view::Instances::from(state.orchestrator().services()))
}

pub(super) async fn create(state: Data<ApiState>, body: Object<Create>) -> Reply {
    match instantiate(&state, &body.0).await {
        Ok(request) => Ok(HttpResponse::Created().json(view::Instantiated::from(request))),
        Err(error) => plain_not_found(error),
    }
}

pub(super) async fn stop(state: Data<ApiState>, body: Object<Stop>) -> Reply {
    let stopped = async {
        let instance = select(&state, &body.0)?;
        terminate(&state, instance).await
    };
    match stopped.await {
        Ok(request) => {
            let text = format!("service instance with uuid '{}' stopped.", request.instance_id);
            Ok(HttpResponse::Ok().json(text))
        }
        Err(error) => plain_not_found(error),
    }
}

/// The one instance meant: the one given, within the service if that is given too; else the first instance of the
/// service given, or of the newest that has one. The original took the first service to be stopped and, by chance,
/// any to be started; its users had one service at a time, so that `{}` stopped what `{}` had started.
fn select(state: &ApiState, which: &Stop) -> Result<InstanceId, ApiError> {
    let service = which
        .service()
        .map(|text| state.orchestrator().resolve(&find::service_ref(Some(text))))
        .transpose()?;
    let Some(text) = which.instance() else {
        let newest = || {
            let services = state.orchestrator().services();
            services.into_iter().rev().find(|service| !service.instances.is_empty())
        };
        let first = service.or_else(newest).and_then(|service| service.instances.into_iter().next());
        return first.ok_or_else(|| ApiError::new(Code::InstanceNotFound, "the service has no instance"));
    };
    let id = instance_id(state, text)?;
    let has = |service: &ServiceView| service.instances.contains(&id);
    let found = match &service {
        Some(service) => has(service),
        None => state.orchestrator().services().iter().any(has),
    };
    if found { Ok(id) } else { Err(find::no_instance(text)) }
}
