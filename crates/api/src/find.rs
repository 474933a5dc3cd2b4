//! From the ids in URLs and bodies to what they mean. A text that is no id names nothing: it is "not found", as
//! an id that nobody has.

use llcm_lifecycle::request::{InstanceView, RequestView, ServiceRef, ServiceView};
use llcm_names::{ContainerName, InstanceId, RequestId, ServiceId};

use crate::codes::Code;
use crate::error::ApiError;
use crate::state::ApiState;

/// What `latest`, nothing, an id or a package name means.
pub(crate) fn service_ref(text: Option<&str>) -> ServiceRef {
    match text {
        None | Some("" | "latest") => ServiceRef::Latest,
        Some(given) => ServiceRef::Given(given.to_owned()),
    }
}

/// The service of that id.
pub(crate) fn service(state: &ApiState, text: &str) -> Result<ServiceView, ApiError> {
    let found = text.parse::<ServiceId>().ok().and_then(|id| state.orchestrator().service(id));
    found.ok_or_else(|| ApiError::new(Code::ServiceNotFound, format!("no service has the id {text:?}")))
}

/// The instance id; whether there is such an instance is known where it is used.
pub(crate) fn instance_id(text: &str) -> Result<InstanceId, ApiError> {
    text.parse().map_err(|_| no_instance(text))
}

/// The error for an instance that is not there.
pub(crate) fn no_instance(text: &str) -> ApiError {
    ApiError::new(Code::InstanceNotFound, format!("no instance has the id {text:?}"))
}

/// The instance of that id, from the records.
pub(crate) fn recorded_instance(state: &ApiState, text: &str) -> Result<InstanceView, ApiError> {
    let id = instance_id(text)?;
    let all = state.orchestrator().instances(false);
    all.into_iter().find(|instance| instance.id == id).ok_or_else(|| no_instance(text))
}

/// An instance and one of its containers.
pub(crate) fn container(
    state: &ApiState,
    instance: &str,
    name: &str,
) -> Result<(InstanceId, ContainerName), ApiError> {
    let view = recorded_instance(state, instance)?;
    let known = view.containers.iter().find(|container| container.name.as_str() == name);
    match known {
        Some(container) => Ok((view.id, container.name.clone())),
        None => Err(ApiError::new(
            Code::ContainerNotFound,
            format!("the instance {} has no container {name:?}", view.name),
        )),
    }
}

/// The request of that id.
pub(crate) fn request(state: &ApiState, text: &str) -> Result<RequestView, ApiError> {
    let found = text.parse::<RequestId>().ok().and_then(|id| state.orchestrator().request(id));
    found.ok_or_else(|| ApiError::new(Code::RequestNotFound, format!("no request has the id {text:?}")))
}
