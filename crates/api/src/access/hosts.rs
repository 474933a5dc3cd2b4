//! `Host` must be a name of this server.
//!
//! A page whose own host name was rebound to the server's address is of the "same origin" as the server for its
//! reader's browser, but gives itself away by that name. An address in `Host` cannot be rebound.

use std::net::{IpAddr, Ipv6Addr};

use actix_web::http::Uri;
use actix_web::http::header::{self, HeaderMap};

use crate::codes::Code;
use crate::error::ApiError;

/// Refuses a host name that is neither the loopback interface's nor configured. At a listener on the loopback interface
/// an address must be that listener's or the usual loopback one; elsewhere every address will do. A request without
/// `Host` (HTTP/1.0) is not a browser's.
pub(super) fn check(
    uri: &Uri,
    headers: &HeaderMap,
    bound: IpAddr,
    allowed: &[String],
) -> Result<(), ApiError> {
    let in_uri = uri.authority().map(|authority| Some(authority.as_str().to_owned()));
    let in_headers = headers.get_all(header::HOST).map(|value| value.to_str().ok().map(str::to_owned));
    for given in in_uri.into_iter().chain(in_headers) {
        let known = given.as_deref().and_then(host_name).is_some_and(|name| is_own(&name, bound, allowed));
        if !known {
            let shown = given.unwrap_or_else(|| "(no text)".to_owned());
            return Err(ApiError::new(
                Code::ForeignHost,
                format!(
                    "the host name {shown:?} is not one of this server's: use localhost or its address, or allow the \
                     name with the setting `allowed_hosts`"
                ),
            ));
        }
    }
    Ok(())
}

fn is_own(name: &str, bound: IpAddr, allowed: &[String]) -> bool {
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost"
        || address.is_ok_and(|ip| !bound.is_loopback() || ip == bound || is_plain_loopback(ip))
        || allowed.iter().any(|host| host == "*" || host.eq_ignore_ascii_case(name))
}

fn is_plain_loopback(ip: IpAddr) -> bool {
    ip == IpAddr::from([127, 0, 0, 1]) || ip == IpAddr::from(Ipv6Addr::LOCALHOST)
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
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn check(host: &str, bound: IpAddr, allowed: &[&str]) -> Result<(), ApiError> {
        let allowed: Vec<_> = allowed.iter().map(|&name| name.to_owned()).collect();
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        super::check(&Uri::from_static("/"), &headers, bound, &allowed)
    }

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn on_the_loopback_interface_the_host_must_be_its_own() {
        for host in
            ["localhost", "LocalHost:5000", "localhost.:5000", "127.0.0.1:5000", "[::1]:5000", "[::1]"]
        {
            assert!(check(host, LOOPBACK, &[]).is_ok(), "{host}");
        }
        for host in [
            "evil.example:5000",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "a@localhost",
            "localhost/x",
            "::1",
            "0.0.0.0:5000",
            "[::ffff:127.0.0.1]:5000",
        ] {
            assert_eq!(check(host, LOOPBACK, &[]).unwrap_err().code, Code::ForeignHost, "{host}");
        }
        assert!(check("llcm.test:5000", LOOPBACK, &["llcm.test"]).is_ok());
        assert!(check("evil.example", LOOPBACK, &["*"]).is_ok());
        assert!(check("127.0.0.9:5000", IpAddr::from([127, 0, 0, 9]), &[]).is_ok());
        assert!(check("127.0.0.9:5000", LOOPBACK, &[]).is_err());
    }

    #[test]
    fn elsewhere_addresses_cannot_be_rebound_and_names_must_be_configured() {
        for bound in [IpAddr::from([0, 0, 0, 0]), IpAddr::from([192, 0, 2, 1])] {
            for host in ["192.0.2.1:5000", "[2001:db8::1]", "localhost:5000", "lab.example"] {
                assert!(check(host, bound, &["lab.example"]).is_ok(), "{host}");
            }
            for host in ["lab-server:5000", "evil.example", ""] {
                assert!(check(host, bound, &["lab.example"]).is_err(), "{host}");
            }
        }
    }

    #[test]
    fn a_url_in_place_of_a_path_names_a_host_too() {
        let mut headers = HeaderMap::new();
        assert!(super::check(&Uri::from_static("/"), &headers, LOOPBACK, &[]).is_ok());
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        let of = |uri| super::check(&Uri::from_static(uri), &headers, LOOPBACK, &[]);
        assert!(of("http://localhost:5000/packages").is_ok());
        assert!(of("http://evil.example/packages").is_err());
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(
            super::check(&Uri::from_static("/"), &headers, LOOPBACK, &[]).is_err(),
            "the second one counts"
        );
    }
}
