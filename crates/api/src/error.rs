//! What a handler fails with, and how it is shown.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use llcm_lifecycle::LifecycleError;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::access::trail;
use crate::codes::Code;

/// An error reply: `{error, code, details}` with the status of the code's line in [`crate::codes`].
#[derive(Debug, Error)]
#[error("{message}")]
pub struct ApiError {
    /// The line of the table.
    pub code: Code,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// What there is more to say, for programs.
    pub details: Map<String, Value>,
}

impl ApiError {
    /// An error without details.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Map::new() }
    }

    /// With one more detail.
    #[must_use]
    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }

    /// The HTTP status of the reply.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.code.row().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The reply's JSON.
    #[must_use]
    pub fn body(&self) -> Value {
        json!({ "error": self.message, "code": self.code.row().code, "details": self.details })
    }

    /// The reply with another body but the status and headers of this error.
    pub(crate) fn reply_with(&self, body: &Value) -> HttpResponse {
        let mut reply = HttpResponse::build(self.status());
        trail::note_code(self.code);
        match self.code {
            Code::TooManyUploads | Code::TooBusy => {
                reply.insert_header((header::RETRY_AFTER, HeaderValue::from_static("5")));
            }
            // RFC 6750, section 3.
            Code::Unauthorized => {
                reply.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"llcm\""));
            }
            Code::BadToken => {
                reply.insert_header((
                    header::WWW_AUTHENTICATE,
                    "Bearer realm=\"llcm\", error=\"invalid_token\"",
                ));
            }
            Code::ReadOnlyToken => {
                let scope = "Bearer realm=\"llcm\", error=\"insufficient_scope\"";
                reply.insert_header((header::WWW_AUTHENTICATE, scope));
            }
            // The rest of the body is not waited for.
            Code::TooLarge
            | Code::DiskFull
            | Code::UploadInterrupted
            | Code::UploadTimeout
            | Code::BodyTimeout => {
                reply.force_close();
            }
            _ => {}
        }
        if let Some(Value::String(allow)) = self.details.get("allow") {
            reply.insert_header((header::ALLOW, allow.as_str()));
        }
        reply.json(body)
    }
}

/// Diagnostics and further errors become `details.diagnostics` and `details.others`.
impl From<LifecycleError> for ApiError {
    fn from(error: LifecycleError) -> Self {
        let LifecycleError { code, message, diagnostics, others } = error;
        let mut out = Self::new(code.into(), message);
        if !diagnostics.is_empty() {
            out = out.detail("diagnostics", json!(diagnostics));
        }
        if !others.is_empty() {
            out = out.detail("others", others);
        }
        out
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.reply_with(&self.body())
    }
}

#[cfg(test)]
mod tests {
    use llcm_descriptors::{Diagnostic, Severity};
    use llcm_lifecycle::ErrorCode;

    use super::*;

    #[test]
    fn diagnostics_and_further_errors_are_details() {
        let mut error = LifecycleError::new(ErrorCode::InvalidPackage, "the package has 1 error");
        error.diagnostics.push(Diagnostic::new(Severity::Error, "unknown-vnfd", "nsd.yaml", "", "no VNFD x"));
        error.others.push("undo failed".to_owned());
        let error = ApiError::from(error);
        assert_eq!(error.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let body = error.body();
        assert_eq!(body["details"]["diagnostics"][0]["code"], "unknown-vnfd");
        assert_eq!(body["details"]["others"], json!(["undo failed"]));
        assert_eq!(body["code"], "invalid-package");
    }

    #[test]
    fn an_error_without_more_has_empty_details() {
        let error = ApiError::from(LifecycleError::new(ErrorCode::NoService, "no service is on-boarded"));
        assert_eq!(
            error.body(),
            json!({ "error": "no service is on-boarded", "code": "no-service", "details": {} })
        );
    }
}
