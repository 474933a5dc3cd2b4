//! Who asks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::HttpMessage as _;
use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::header::{self, HeaderMap};
use llcm_access::Token;

use crate::codes::Code;
use crate::error::ApiError;
use crate::state::ApiState;

/// Who asks, as far as the server knows.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// In words: `token:NAME`, `loopback`.
    pub(crate) by: String,
    /// The token that was shown and is one.
    pub(crate) token: Option<Token>,
}

impl Caller {
    /// Of a request that everybody may make.
    pub(super) fn nobody() -> Self {
        Self { by: "anybody".to_owned(), token: None }
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.token.as_ref().is_some_and(|token| token.read_only)
    }
}

/// Refuses what tokens for reading may not even read.
pub(crate) fn check_full(request: &HttpRequest) -> Result<(), ApiError> {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.is_read_only() => Err(ApiError::new(
            Code::ReadOnlyToken,
            format!("the token {} is for reading, and this tells what others do", caller.by),
        )),
        _ => Ok(()),
    }
}

/// Tells who asks. A token is needed where the listener is not on the loopback interface, or where the settings say so;
/// one that is shown elsewhere counts when it is one.
///
/// # Errors
/// `unauthorized`; `tokens-unreadable` when the tokens cannot be looked up.
pub(super) fn identify(request: &ServiceRequest, state: &ApiState) -> Result<Caller, ApiError> {
    let bound = request.app_config().local_addr().ip();
    let needed = state.settings().require_tokens || !bound.is_loopback();
    let shown = bearer(request.headers());
    // This reads a small file, and only when it was changed; otherwise it is a single call of the system.
    let found = match (&state.access().tokens, &shown) {
        (Some(tokens), Shown::One(text)) => tokens
            .find(text)
            .map_err(|error| ApiError::new(Code::TokensUnreadable, format!("nobody is let in: {error}"))),
        _ => Ok(None),
    };
    match found {
        Ok(Some(token)) => Ok(Caller { by: format!("token:{}", token.name), token: Some(token) }),
        _ if !needed => Ok(Caller { by: "loopback".to_owned(), token: None }),
        Ok(None) => {
            let (what, hint) = match shown {
                Shown::Nothing => ("no token was sent", ""),
                Shown::One(_) => ("the token is none of this server's", "; it may have been removed"),
                Shown::Else => ("the header `Authorization` holds no single bearer token", ""),
            };
            state.refusals().note(request, what);
            let message =
                format!("{what}{hint}: send `Authorization: Bearer TOKEN`; `llcm token create` makes one");
            let is_wrong = !matches!(shown, Shown::Nothing);
            Err(ApiError::new(if is_wrong { Code::BadToken } else { Code::Unauthorized }, message))
        }
        Err(error) => {
            state.refusals().note(request, &error.message);
            Err(error)
        }
    }
}

/// What stands in `Authorization`.
enum Shown<'a> {
    Nothing,
    One(&'a str),
    Else,
}

/// The token of `Authorization: Bearer` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Shown<'_> {
    let mut given = headers.get_all(header::AUTHORIZATION);
    let Some(first) = given.next() else { return Shown::Nothing };
    if given.next().is_some() {
        return Shown::Else;
    }
    let parts = first.to_str().ok().and_then(|text| text.trim().split_once(' '));
    match parts {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Shown::One(token.trim()),
        _ => Shown::Else,
    }
}

/// Refused callers, in the log: at most one line a second, so that strangers do not fill the disk.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<(Option<Instant>, u64)>);

impl Refusals {
    fn note(&self, request: &ServiceRequest, what: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, unsaid) = *known;
        if last.is_some_and(|last| last.elapsed() < Duration::from_secs(1)) {
            known.1 += 1;
            return;
        }
        *known = (Some(Instant::now()), 0);
        drop(known);
        let peer = request.peer_addr().map_or_else(|| "a client".to_owned(), |peer| peer.to_string());
        let more = if unsaid > 0 { format!("; {unsaid} more were refused before it") } else { String::new() };
        log::warn!("{peer} was refused: {what}{more}");
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_a_single_bearer_token_is_one() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            match bearer(&headers) {
                Shown::Nothing => "nothing".to_owned(),
                Shown::One(token) => token.to_owned(),
                Shown::Else => "else".to_owned(),
            }
        };
        assert_eq!(read(&[]), "nothing");
        assert_eq!(read(&["Bearer llcm_x"]), "llcm_x");
        assert_eq!(read(&["bEARER  llcm_x "]), "llcm_x");
        for other in [&["Basic bGxjbTpsbGNt"][..], &["llcm_x"], &["Bearer"], &["Bearer a", "Bearer b"], &[""]]
        {
            assert_eq!(read(other), "else", "{other:?}");
        }
    }
}
