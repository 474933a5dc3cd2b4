//! What the routes of both gatekeepers have in common: uploads, and instances begun and ended while the client
//! waits.
//!
//! Waiting is all that the client does: what was begun belongs to the server and goes on when it hangs up.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use llcm_descriptors::Diagnostic;
use llcm_lifecycle::LifecycleError;
use llcm_lifecycle::request::{
    Accepted, InstantiateOptions, RequestStatus, RequestView, ServiceRef, ServiceView, Upload,
};
use llcm_names::{InstanceId, PackageHash, RequestId, ServiceId};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::trail;
use crate::codes::Code;
use crate::error::ApiError;
use crate::state::ApiState;
use crate::{find, upload};

/// What a handler returns.
pub(crate) type Reply = Result<HttpResponse, ApiError>;

/// The reply to a successful upload.
#[derive(Debug, Serialize)]
struct Uploaded {
    service_uuid: ServiceId,
    size: u64,
    sha1: PackageHash,
    error: Option<String>,
    warnings: Vec<Diagnostic>,
    /// The instance that was made at once, and runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    service_instance_uuid: Option<InstanceId>,
    /// The request that made it, or could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_uuid: Option<RequestId>,
}

impl From<Accepted> for Uploaded {
    fn from(Accepted { service, request }: Accepted) -> Self {
        let ServiceView { id, size, sha1, warnings, .. } = service;
        let runs = request.as_ref().filter(|request| request.status == RequestStatus::Ready);
        Self {
            service_uuid: id,
            size,
            sha1,
            error: None,
            warnings,
            service_instance_uuid: runs.map(|request| request.instance_id),
            request_uuid: request.map(|request| request.id),
        }
    }
}

/// `POST /packages`.
pub(crate) async fn upload(state: Data<ApiState>, request: HttpRequest, payload: Payload) -> HttpResponse {
    match on_board(&state, &request, payload).await {
        Ok(accepted) => HttpResponse::Created().json(Uploaded::from(accepted)),
        Err(error) => refused(&error),
    }
}

async fn on_board(state: &ApiState, request: &HttpRequest, payload: Payload) -> Result<Accepted, ApiError> {
    let upload = upload::receive(state, request, payload).await?;
    accept(state, upload).await
}

/// A failed upload has the fields of a successful one, empty, and says in `error` all that people need.
fn refused(error: &ApiError) -> HttpResponse {
    let mut body = json!({
        "service_uuid": null,
        "size": 0,
        "sha1": null,
        "error": error.message,
        "code": error.code.row().code,
        "diagnostics": error.details.get("diagnostics").cloned().unwrap_or_else(|| json!([])),
    });
    if let Some(others) = error.details.get("others") {
        body["others"] = others.clone();
    }
    error.reply_with(&body)
}

/// Which service is to be instantiated.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Create {
    service_uuid: Option<String>,
    service_name: Option<String>,
    placement: Option<String>,
}

impl Create {
    /// What is different for this instance.
    pub(crate) fn options(&self) -> InstantiateOptions {
        InstantiateOptions { placement: given(&self.placement).map(str::to_owned) }
    }

    /// The service meant: by uuid or name in `service_uuid`, else by `service_name`, else the newest.
    pub(crate) fn service(&self) -> ServiceRef {
        find::service_ref(given(&self.service_uuid).or_else(|| given(&self.service_name)))
    }
}

/// Which instances are to be stopped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Stop {
    service_uuid: Option<String>,
    service_instance_uuid: Option<String>,
}

impl Stop {
    /// The service's uuid or name, if one is given.
    pub(crate) fn service(&self) -> Option<&str> {
        given(&self.service_uuid)
    }

    /// The instance's uuid, if one is given.
    pub(crate) fn instance(&self) -> Option<&str> {
        given(&self.service_instance_uuid)
    }
}

/// An empty text is none.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

/// On-boards an upload, and does what the settings say is done with it by itself.
pub(crate) async fn accept(state: &ApiState, upload: Upload) -> Result<Accepted, ApiError> {
    let (orchestrator, dialect) = (Arc::clone(state.orchestrator()), state.dialect());
    let accepted = trail::kept(async move {
        let Accepted { service, request } = orchestrator.accept(upload, dialect).await?;
        trail::note("service", service.id);
        Ok::<_, LifecycleError>(Accepted { service, request: request.map(noted) })
    });
    Ok(accepted.await?)
}

/// Begins to instantiate.
pub(crate) async fn begin(
    state: &ApiState,
    service: &ServiceRef,
    options: InstantiateOptions,
) -> Result<RequestView, ApiError> {
    let (orchestrator, service) = (Arc::clone(state.orchestrator()), service.clone());
    let begun = trail::kept(async move { orchestrator.instantiate_with(&service, options).await.map(noted) });
    Ok(begun.await?)
}

/// Begins to terminate.
pub(crate) async fn end(state: &ApiState, instance: InstanceId) -> Result<RequestView, ApiError> {
    trail::note("instance", instance);
    let orchestrator = Arc::clone(state.orchestrator());
    Ok(trail::kept(async move { orchestrator.terminate(instance).await.map(noted) }).await?)
}

/// Forgets a service.
pub(crate) async fn remove(state: &ApiState, service: ServiceId) -> Result<(), ApiError> {
    trail::note("service", service);
    Ok(state.orchestrator().remove_service(service).await?)
}

/// With its ids in the audit log.
fn noted(request: RequestView) -> RequestView {
    trail::note("request", request.id);
    trail::note("instance", request.instance_id);
    trail::note("service", request.service_id);
    request
}

/// Instantiates and waits until the instance runs.
pub(crate) async fn instantiate(state: &ApiState, create: &Create) -> Result<RequestView, ApiError> {
    let request = begin(state, &create.service(), create.options()).await?;
    finish(state, request).await
}

/// Terminates and waits until the instance is gone.
pub(crate) async fn terminate(state: &ApiState, instance: InstanceId) -> Result<RequestView, ApiError> {
    let request = end(state, instance).await?;
    finish(state, request).await
}

async fn finish(state: &ApiState, request: RequestView) -> Result<RequestView, ApiError> {
    let RequestView { id, instance_id, .. } = request;
    state.orchestrator().wait(id).await.map_err(|error| {
        ApiError::from(error).detail("instance", instance_id.to_string()).detail("request", id.to_string())
    })
}

/// Existing clients know "not found" as a JSON text.
pub(crate) fn plain_not_found(error: ApiError) -> Reply {
    match error.code {
        Code::ServiceNotFound | Code::NoService | Code::InstanceNotFound => {
            Ok(HttpResponse::build(StatusCode::NOT_FOUND).json("Service not found"))
        }
        _ => Err(error),
    }
}

/// An instance by its id, or by the id of a request about it: in the originals' reply to an instantiation `id`
/// was the instance's, and clients written against them (tng-cli, tng-bench) may have kept that one.
pub(crate) fn instance_id(state: &ApiState, text: &str) -> Result<InstanceId, ApiError> {
    let of_request =
        text.parse::<RequestId>().ok().and_then(|id| state.orchestrator().request(id)).map(|r| r.instance_id);
    of_request.map_or_else(|| find::instance_id(text), Ok)
}

/// `PUT /emulator/exit`: replies first; then stops the instances, then the server.
pub(crate) async fn exit(state: Data<ApiState>) -> HttpResponse {
    tokio::spawn(async move {
        if let Err(error) = state.orchestrator().shutdown(true).await {
            log::error!("stopping all instances: {error}");
        }
        state.exit();
    });
    HttpResponse::Ok().json("The instances are being stopped, then the server.")
}
