//! From the ids in URLs and bodies to what they mean. A text that is no id names nothing: it is "not found", as
//! an id that nobody has.

use llcm_descriptors::{Diagnostic, Severity};
use llcm_lifecycle::request::{InstanceView, RequestView, ServiceRef, ServiceView};
use llcm_names::{ContainerName, DcName, InstanceId, RequestId, ScheduleId, ServiceId};
use llcm_topology::Finding;
use serde_json::json;

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

/// The schedule id; whether there is such a schedule is known where it is used.
pub(crate) fn schedule_id(text: &str) -> Result<ScheduleId, ApiError> {
    let missing = |_| ApiError::new(Code::ScheduleNotFound, format!("no schedule has the id {text:?}"));
    text.parse().map_err(missing)
}

/// The name of a data center; whether there is such a one is known where it is used.
pub(crate) fn datacenter(text: &str) -> Result<DcName, ApiError> {
    DcName::parse(text).map_err(|_| no_datacenter(text))
}

/// The error for a data center that is not there.
pub(crate) fn no_datacenter(text: &str) -> ApiError {
    ApiError::new(Code::DatacenterNotFound, format!("there is no data center {text:?}"))
}

/// What a document says; all its findings when it has errors. `code` is the word that these have.
pub(crate) fn read<T>(
    what: &str,
    code: &str,
    (read, findings): (Option<T>, Vec<Finding>),
) -> Result<T, ApiError> {
    let Some(read) = read else {
        let first = findings.first().map(ToString::to_string).unwrap_or_default();
        let first = first.trim_start_matches("error: ");
        let more = match findings.len().saturating_sub(1) {
            0 => String::new(),
            more => format!("; and {more} more errors"),
        };
        let diagnostics: Vec<Diagnostic> = findings.iter().map(|finding| diagnostic(code, finding)).collect();
        let error = ApiError::new(Code::InvalidChange, format!("{what} has errors: {first}{more}"));
        return Err(error.detail("diagnostics", json!(diagnostics)));
    };
    Ok(read)
}

fn diagnostic(code: &str, finding: &Finding) -> Diagnostic {
    let Finding { severity, path, line, column, message } = finding.clone();
    let severity = match severity {
        llcm_topology::Severity::Error => Severity::Error,
        llcm_topology::Severity::Warning => Severity::Warning,
    };
    Diagnostic {
        line: Some(line),
        column: Some(column),
        ..Diagnostic::new(severity, code, "", path, message)
    }
}
