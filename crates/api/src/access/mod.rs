//! Which requests are let in, and what is written down of them.
//!
//! The natural place of the server is the loopback interface of a developer's machine, where every web page that the
//! developer reads can send requests to it; its second place is a network, where everybody can. `docs/security.md` has
//! the rules in full. In their order:
//! 1. `Host` must be a name of this server (`hosts`): pages whose own name was rebound to it give themselves away.
//! 2. A token is asked for where other machines can reach the server, or everywhere if so configured (`callers`);
//!    only whether the server lives is told to everybody.
//! 3. Tokens for looking change nothing.
//! 4. Pages of other origins change nothing, and read only what the emulators let them read (`pages`).
//! 5. What changes something is written down before it is done (`trail`).

pub(crate) mod callers;
mod hosts;
pub(crate) mod pages;
pub(crate) mod trail;
mod watch;

use std::fmt;
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse, ResponseError as _};
use llcm_access::{AuditLog, TokenFile};

use crate::codes::Code;
use crate::connection::Connection;
use crate::error::ApiError;
use crate::state::ApiState;
use callers::Caller;

/// The route that is open to everybody, as the resource's pattern ends.
const OPEN: &str = "/api/llcm/v1/health";

/// The tokens that open the server, and where it is written down who changed what.
#[derive(Clone, Default)]
pub struct Access {
    /// The tokens; `None`: there are none, and where one is asked for nobody is let in.
    pub tokens: Option<Arc<TokenFile>>,
    /// The audit log; `None`: nothing is written down.
    pub audit: Option<Arc<AuditLog>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("tokens", &self.tokens.as_ref().map(|tokens| tokens.path()))
            .field("audit", &self.audit.as_ref().map(|audit| audit.path()))
            .finish()
    }
}

/// What becomes of a request that is let in.
enum Admission {
    /// It is answered here.
    Answered(HttpResponse),
    /// The handlers get it.
    Passed(Caller),
}

/// The middleware around all routes.
pub(crate) async fn around(
    state: ApiState,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let closing = state.closing().clone();
    let answering = request.conn_data::<Arc<Connection>>().map(Connection::answer);
    let origin = pages::welcome_origin(request.headers(), &state.settings().origins);
    let mut response = match admit(&request, &state) {
        Ok(Admission::Answered(reply)) => request.into_response(reply).map_into_right_body(),
        Ok(Admission::Passed(caller)) => {
            let token = caller.token.clone();
            request.extensions_mut().insert(caller.clone());
            let trail = if is_safe(request.method()) {
                Ok(None)
            } else {
                trail::begin(&state, &request, &caller).await
            };
            match trail {
                Ok(trail) => {
                    let response = trail::follow(trail, next.call(request)).await?;
                    let watch = token.zip(state.access().tokens.clone());
                    response
                        .map_body(|_, body| watch::Watched::new(body, watch, answering))
                        .map_into_left_body()
                }
                Err(error) => request.into_response(error.error_response()).map_into_right_body(),
            }
        }
        Err(error) => request.into_response(error.error_response()).map_into_right_body(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let resource_policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resource_policy, HeaderValue::from_static("same-origin"));
    if let Some(origin) = origin {
        pages::welcome(headers, origin);
    }
    if closing.is_cancelled() {
        // A connection that is kept alive would hold up the shutdown.
        response.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    Ok(response)
}

fn admit(request: &ServiceRequest, state: &ApiState) -> Result<Admission, ApiError> {
    let settings = state.settings();
    let bound = request.app_config().local_addr().ip();
    hosts::check(request.uri(), request.headers(), bound, &settings.hosts)?;
    if let Some(reply) = pages::preflight(request, &settings.origins) {
        return Ok(Admission::Answered(reply));
    }
    let caller = if is_open(request) { Caller::nobody() } else { callers::identify(request, state)? };
    if is_safe(request.method()) {
        return Ok(Admission::Passed(caller));
    }
    if caller.is_read_only() {
        return Err(ApiError::new(
            Code::ReadOnlyToken,
            format!("the token {} is for reading: it may not {}", caller.by, request.method()),
        ));
    }
    pages::check(request.headers(), &settings.origins)?;
    Ok(Admission::Passed(caller))
}

/// Whether a method changes nothing (RFC 9110, section 9.2.1).
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_open(request: &ServiceRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.match_pattern().is_some_and(|pattern| pattern.ends_with(OPEN))
}
