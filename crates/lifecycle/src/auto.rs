//! What the settings say is done with an uploaded package by itself: others' instances go (`auto_delete`), its own
//! is made (`auto_deploy`).
//!
//! - **Expected flow**: on-board; then, one upload at a time, terminate all instances and wait until they are gone,
//!   instantiate and wait until it runs.
//! - **Guarantees.** A package that cannot be on-boarded stops nothing. Of uploads that come at the same time each
//!   finds the instance of the one before it complete, and takes it down as a whole. The service stays on-boarded
//!   whatever becomes of the rest; what goes wrong is a warning of the reply, and what began has a request.

use std::sync::Arc;

use llcm_descriptors::{Diagnostic, Severity};
use llcm_names::ServiceId;

use crate::core::Core;
use crate::error::LifecycleError;
use crate::open::terminate_all;
use crate::request::{Accepted, InstantiateOptions, RequestView, ServiceRef, Upload};
use crate::settings::Dialect;
use crate::{instantiate, onboard, requests};

/// On-boards an upload and does what the settings of its dialect say.
pub(crate) async fn accept(
    core: Arc<Core>,
    upload: Upload,
    dialect: Dialect,
) -> Result<Accepted, LifecycleError> {
    let mut service = onboard::onboard(Arc::clone(&core), upload, dialect).await?;
    let settings = core.settings(dialect);
    let (delete, deploy) = (settings.auto_delete, settings.auto_deploy);
    if !delete && !deploy {
        return Ok(Accepted { service, request: None });
    }
    let turn = core.turn.lock().await;
    let mut warnings = Vec::new();
    if delete {
        warnings.extend(terminate_all(&core).await.into_iter().map(|error| {
            warning("auto-delete-failed", error, "terminate the instance, then instantiate the service")
        }));
    }
    let mut request = None;
    if deploy && warnings.is_empty() {
        let (begun, failed) = instantiate(&core, service.id).await;
        request = begun;
        warnings.extend(failed);
    }
    drop(turn);
    for warning in &warnings {
        log::warn!("service {}: {}", service.id, warning.message);
    }
    // Somebody may have removed the service since: then it is told as it was.
    let now = core.state().services.get(&service.id).cloned();
    if let Some(record) = now {
        service = core.service_view(&record);
    }
    service.warnings.extend(warnings);
    Ok(Accepted { service, request })
}

/// Instantiates a service and waits for the end of it; what there is of a request, and what went wrong.
async fn instantiate(core: &Arc<Core>, service: ServiceId) -> (Option<RequestView>, Vec<Diagnostic>) {
    let failed = |error: LifecycleError| {
        let hint = "the service is on-boarded: instantiate it when the cause is gone";
        let mut warnings = vec![warning("auto-deploy-failed", error.message, hint)];
        warnings.extend(error.others.into_iter().map(|other| warning("auto-deploy-failed", other, "")));
        // The places in the descriptors that the message is about.
        warnings
            .extend(error.diagnostics.into_iter().map(|d| Diagnostic { severity: Severity::Warning, ..d }));
        warnings
    };
    let meant = ServiceRef::Given(service.to_string());
    let request = match instantiate::begin(Arc::clone(core), meant, InstantiateOptions::default()).await {
        Ok(request) => request,
        Err(error) => return (None, failed(error)),
    };
    let watch = core.state().requests.watch(request.id);
    let ended = match watch {
        Some(watch) => requests::wait(watch).await,
        // So many requests since that it was forgotten: it has ended long ago.
        None => Ok(request.clone()),
    };
    match ended {
        Ok(request) => (Some(request), Vec::new()),
        Err(error) => {
            let known = core.state().requests.get(request.id).map(|record| record.view);
            (Some(known.unwrap_or(request)), failed(error))
        }
    }
}

fn warning(code: &str, message: String, hint: &str) -> Diagnostic {
    Diagnostic::new(Severity::Warning, code, "", "", message).hint(hint)
}
