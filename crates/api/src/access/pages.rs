//! What web pages may do.
//!
//! Browsers say which page a request comes from: in `Origin` with everything that can change something, and in
//! `Sec-Fetch-Site` with everything. Programs that are no browsers send neither. Pages of the server's own origin and of
//! those that are configured may do all that the caller may. Pages of other origins change nothing; they read what the
//! emulators let them read (lists of dialect `tango`), and nothing else. No reply ever lets a page send credentials that
//! the browser keeps (`Access-Control-Allow-Credentials`): a token has to be in the page's hands.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, ResponseError as _};

use crate::codes::Code;
use crate::error::ApiError;
use crate::state::ApiState;

const FETCH_SITE: &str = "sec-fetch-site";
const FETCH_MODE: &str = "sec-fetch-mode";

/// Refuses a state-changing request of a foreign page.
pub(super) fn check(headers: &HeaderMap, welcome: &[String]) -> Result<(), ApiError> {
    match foreign(headers, welcome) {
        None => Ok(()),
        Some(who) => Err(ApiError::new(
            Code::ForeignOrigin,
            format!("requests of pages of {who} may not change anything on this server"),
        )),
    }
}

/// Who sends the request, if that is a foreign page.
fn foreign(headers: &HeaderMap, welcome: &[String]) -> Option<String> {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut named = false;
    for origin in headers.get_all(header::ORIGIN) {
        named = true;
        let known = origin.to_str().is_ok_and(|origin| is_own(origin, host) || is_welcome(origin, welcome));
        if !known {
            return Some(format!("{:?}", String::from_utf8_lossy(origin.as_bytes())));
        }
    }
    // Where there is an origin, and it is known, it says more than this.
    let mut sites = headers.get_all(FETCH_SITE);
    let elsewhere = |site: &HeaderValue| !matches!(site.as_bytes(), b"same-origin" | b"none");
    (!named && sites.any(elsewhere)).then(|| "another origin".to_owned())
}

/// The middleware around the routes that pages of other origins have no business with, whatever the method. Following a
/// link is no business of the page that has the link, and shows it nothing.
pub(crate) async fn closed_to_foreign(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let origins = request.app_data::<Data<ApiState>>().map_or(&[][..], |state| &state.settings().origins);
    let headers = request.headers();
    let follows_link = headers.get(FETCH_MODE).is_some_and(|mode| mode.as_bytes() == b"navigate")
        && headers.get(header::ORIGIN).is_none();
    match foreign(headers, origins) {
        Some(who) if !follows_link => {
            let message = format!("pages of {who} may not read this");
            let refused = ApiError::new(Code::ForeignOrigin, message).error_response();
            Ok(request.into_response(refused).map_into_right_body())
        }
        _ => Ok(next.call(request).await?.map_into_left_body()),
    }
}

/// The middleware around the routes that web pages of other origins may read, as those of the emulators.
pub(crate) async fn readable_by_all(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let reads = super::is_safe(request.method());
    let mut response = next.call(request).await?;
    if reads {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,OPTIONS"));
    }
    Ok(response)
}

/// The reply to a browser that asks whether a page of a configured origin may do something.
pub(super) fn preflight(request: &ServiceRequest, origins: &[String]) -> Option<HttpResponse> {
    let headers = request.headers();
    let asks =
        *request.method() == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || welcome_origin(headers, origins).is_none() {
        return None;
    }
    let mut reply = HttpResponse::NoContent();
    reply.insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE"));
    reply.insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"));
    if headers.contains_key("access-control-request-private-network") {
        reply.insert_header(("access-control-allow-private-network", "true"));
    }
    Some(reply.finish())
}

/// The request's origin, if it is the only one and a configured one.
pub(super) fn welcome_origin(headers: &HeaderMap, origins: &[String]) -> Option<HeaderValue> {
    let mut given = headers.get_all(header::ORIGIN);
    let first = given.next().filter(|_| given.next().is_none())?;
    first.to_str().is_ok_and(|origin| is_welcome(origin, origins)).then(|| first.clone())
}

/// Lets pages of a configured origin read the reply.
pub(super) fn welcome(headers: &mut HeaderMap, origin: HeaderValue) {
    if !headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    headers.append(header::VARY, HeaderValue::from(HeaderName::from_static("origin")));
}

fn is_welcome(origin: &str, origins: &[String]) -> bool {
    // A page without an origin of its own ("null") could be anybody's.
    origin != "null" && origins.iter().any(|known| known.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

/// Whether the origin (RFC 6454) is that of a page of the host and port to which the request was sent.
fn is_own(origin: &str, host: &str) -> bool {
    let (rest, default_port) = match origin.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (rest, ":80"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (rest, ":443"),
        _ => return false,
    };
    let strip =
        |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    !host.is_empty() && strip(rest) == strip(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)]) -> Result<(), ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        super::check(&map, &["https://lab.example:8443".to_owned(), "http://other.example/".to_owned()])
    }

    #[test]
    fn only_pages_of_this_very_server_and_configured_ones_are_welcome() {
        for (origin, host) in [
            ("http://localhost:5000", "localhost:5000"),
            ("HTTP://LOCALHOST:5000", "localhost:5000"),
            ("https://llcm.example", "llcm.example"),
            ("https://llcm.example", "llcm.example:443"),
            ("http://[::1]:5000", "[::1]:5000"),
            ("http://localhost", "localhost:80"),
            ("https://lab.example:8443", "localhost:5000"),
            ("http://other.example", "localhost:5000"),
        ] {
            assert!(check(&[("host", host), ("origin", origin)]).is_ok(), "{origin}");
        }
        for (origin, host) in [
            ("null", "localhost:5000"),
            ("", "localhost:5000"),
            ("http://localhost:5001", "localhost:5000"),
            ("http://127.0.0.1:5000", "localhost:5000"),
            ("http://evil.example", "localhost:5000"),
            ("http://localhost:5000.evil.example", "localhost:5000"),
            ("http://evil.example/localhost:5000", "localhost:5000"),
            ("ftp://localhost:5000", "localhost:5000"),
            ("localhost:5000", "localhost:5000"),
            ("chrome-extension://localhost:5000", "localhost:5000"),
            ("http://localhost:443", "localhost"),
            ("http://", ""),
            ("http://lab.example:8443", "localhost:5000"),
            ("https://lab.example", "localhost:5000"),
        ] {
            let error = check(&[("host", host), ("origin", origin)]).unwrap_err();
            assert_eq!(error.code, Code::ForeignOrigin, "{origin}");
        }
    }

    #[test]
    fn a_second_origin_does_not_hide_behind_the_first() {
        let own = [("host", "localhost:5000"), ("origin", "http://localhost:5000")];
        assert!(check(&own).is_ok());
        assert!(check(&[own[0], own[1], ("origin", "http://evil.example")]).is_err());
    }

    #[test]
    fn where_a_browser_says_no_origin_it_says_the_site() {
        let host = ("host", "localhost:5000");
        assert!(check(&[host]).is_ok(), "programs say nothing");
        for site in ["cross-site", "same-site", "odd"] {
            assert!(check(&[host, (FETCH_SITE, site)]).is_err(), "{site}");
        }
        for site in ["same-origin", "none"] {
            assert!(check(&[host, (FETCH_SITE, site)]).is_ok(), "{site}");
        }
        let configured = ("origin", "https://lab.example:8443");
        assert!(check(&[host, configured, (FETCH_SITE, "cross-site")]).is_ok());
        assert!(check(&[host, ("origin", "null"), (FETCH_SITE, "same-origin")]).is_err());
    }
}
