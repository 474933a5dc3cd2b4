//! What is checked before any handler, and what every reply carries.
//!
//! The server has no users and passwords of its own, and its natural place is the loopback interface of a
//! developer's machine, where every web page that the developer reads can send requests to it. Two rules keep
//! such pages out:
//! - A request that changes something and carries an `Origin` must come from a page of this very server. Browsers
//!   send `Origin` with every such request; programs that are no browsers send none.
//! - Where the server listens on the loopback interface, `Host` must name it. A page whose own host name was
//!   rebound to 127.0.0.1 is of the "same origin" as the server, but gives itself away by that name.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, Uri};
use actix_web::middleware::Next;
use actix_web::{Error, ResponseError as _};

use crate::codes::Code;
use crate::error::ApiError;
use crate::state::ApiState;

/// The middleware around all routes.
pub(crate) async fn around(
    state: ApiState,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let closing = state.closing().clone();
    let mut response = match check(&request, &state) {
        Ok(()) => next.call(request).await?.map_into_left_body(),
        Err(error) => request.into_response(error.error_response()).map_into_right_body(),
    };
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if closing.is_cancelled() {
        // A connection that is kept alive would hold up the shutdown.
        response.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    Ok(response)
}

/// The middleware around the routes that web pages of other origins may read, as those of the emulators.
pub(crate) async fn readable_by_all(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let mut response = next.call(request).await?;
    if reads {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,OPTIONS"));
    }
    Ok(response)
}

fn check(request: &ServiceRequest, state: &ApiState) -> Result<(), ApiError> {
    let bound = request.app_config().local_addr().ip();
    check_host(request.headers(), bound, &state.settings().hosts)?;
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    check_origin(request.headers())
}

/// Refuses a state-changing request of a foreign page: every `Origin` must name the `Host` of the request.
fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    for origin in headers.get_all(header::ORIGIN) {
        let own = origin.to_str().is_ok_and(|origin| is_own(origin, host));
        if !own {
            let shown = String::from_utf8_lossy(origin.as_bytes()).into_owned();
            return Err(ApiError::new(
                Code::ForeignOrigin,
                format!("requests of pages of {shown:?} may not change anything on this server"),
            ));
        }
    }
    Ok(())
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

/// Refuses, on the loopback interface, a host name that is not the loopback interface's nor configured. A request
/// without `Host` (HTTP/1.0) is not a browser's.
fn check_host(headers: &HeaderMap, bound: IpAddr, allowed: &[String]) -> Result<(), ApiError> {
    if !bound.is_loopback() {
        return Ok(());
    }
    for value in headers.get_all(header::HOST) {
        let known = value.to_str().ok().and_then(host_name).is_some_and(|name| {
            let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            name == "localhost"
                || address.is_ok_and(|ip| ip == bound || is_plain_loopback(ip))
                || allowed.iter().any(|host| host == "*" || host.eq_ignore_ascii_case(&name))
        });
        if !known {
            let shown = String::from_utf8_lossy(value.as_bytes()).into_owned();
            return Err(ApiError::new(
                Code::ForeignHost,
                format!(
                    "the host name {shown:?} is not one of this server's: use localhost, or configure the name"
                ),
            ));
        }
    }
    Ok(())
}

fn is_plain_loopback(ip: IpAddr) -> bool {
    ip == IpAddr::from([127, 0, 0, 1]) || ip == IpAddr::from(std::net::Ipv6Addr::LOCALHOST)
}

/// The name part of a `Host` header, in lower case, without the port and a root dot.
fn host_name(host: &str) -> Option<String> {
    let uri = Uri::builder().scheme("http").authority(host).path_and_query("/").build().ok()?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    let name = authority.host();
    Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    #[test]
    fn only_pages_of_this_very_server_are_of_its_origin() {
        for (origin, host) in [
            ("http://localhost:5000", "localhost:5000"),
            ("HTTP://LOCALHOST:5000", "localhost:5000"),
            ("https://llcm.example", "llcm.example"),
            ("https://llcm.example", "llcm.example:443"),
            ("http://[::1]:5000", "[::1]:5000"),
            ("http://localhost", "localhost:80"),
        ] {
            assert!(
                check_origin(&headers(&[(header::HOST, host), (header::ORIGIN, origin)])).is_ok(),
                "{origin}"
            );
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
        ] {
            let error =
                check_origin(&headers(&[(header::HOST, host), (header::ORIGIN, origin)])).unwrap_err();
            assert_eq!(error.code, Code::ForeignOrigin, "{origin}");
        }
    }

    #[test]
    fn a_second_origin_does_not_hide_behind_the_first() {
        let pairs = [
            (header::HOST, "localhost:5000"),
            (header::ORIGIN, "http://localhost:5000"),
            (header::ORIGIN, "http://evil.example"),
        ];
        assert!(check_origin(&headers(&pairs)).is_err());
    }

    #[test]
    fn programs_send_no_origin() {
        assert!(check_origin(&headers(&[(header::HOST, "localhost:5000")])).is_ok());
    }

    #[test]
    fn on_the_loopback_interface_the_host_must_be_its_own() {
        let loopback = IpAddr::from([127, 0, 0, 1]);
        let check = |host, bound, allowed: &[&str]| {
            let allowed: Vec<_> = allowed.iter().map(|&name| name.to_owned()).collect();
            check_host(&headers(&[(header::HOST, host)]), bound, &allowed)
        };
        for host in
            ["localhost", "LocalHost:5000", "localhost.:5000", "127.0.0.1:5000", "[::1]:5000", "[::1]"]
        {
            assert!(check(host, loopback, &[]).is_ok(), "{host}");
        }
        for host in [
            "evil.example:5000",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "a@localhost",
            "localhost/x",
            "::1",
        ] {
            assert_eq!(check(host, loopback, &[]).unwrap_err().code, Code::ForeignHost, "{host}");
        }
        assert!(check("llcm.test:5000", loopback, &["llcm.test"]).is_ok());
        assert!(check("evil.example", loopback, &["*"]).is_ok());
        assert!(check("127.0.0.9:5000", IpAddr::from([127, 0, 0, 9]), &[]).is_ok());
        assert!(check("127.0.0.9:5000", loopback, &[]).is_err());
        assert!(check("lab-server:5000", IpAddr::from([0, 0, 0, 0]), &[]).is_ok());
        assert!(check_host(&HeaderMap::new(), loopback, &[]).is_ok());
    }
}
