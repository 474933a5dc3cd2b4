//! How a registry wants to be authorised (RFC 7235; Docker's "token authentication specification").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::HeaderValue;
use llcm_runtime::ErrorKind;
use serde::Deserialize;
use url::Url;

use super::credentials::Credentials;
use super::failure::Failure;
use super::http::Http;
use super::place::Place;

/// A token and what is told about it; tokens of some kilobytes have been seen.
const TOKEN_BYTES: u64 = 256 << 10;

/// What a registry that refuses wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token from elsewhere.
    Bearer(Bearer),
    /// A user's name and password.
    Basic,
}

/// Where a token is to be had, and for what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Bearer {
    realm: String,
    service: Option<String>,
    scope: Option<String>,
}

impl Challenge {
    /// The one to take of all: a token before a password.
    pub(super) fn best<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut best = None;
        for challenge in headers
            .filter_map(|it| http_auth::parser::ChallengeParser::new(it).collect::<Result<Vec<_>, _>>().ok())
            .flatten()
        {
            if challenge.scheme.eq_ignore_ascii_case("bearer") {
                let mut bearer = Bearer::default();
                for (name, value) in challenge.params {
                    match name.to_ascii_lowercase().as_str() {
                        "realm" => bearer.realm = value.to_unescaped(),
                        "service" => bearer.service = Some(value.to_unescaped()),
                        "scope" => bearer.scope = Some(value.to_unescaped()),
                        _ => {}
                    }
                }
                return Some(Self::Bearer(bearer));
            }
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                best = Some(Self::Basic);
            }
        }
        best
    }
}

/// The header for a user's name and password.
pub(super) fn basic(credentials: &Credentials) -> Result<HeaderValue, Failure> {
    let pair = STANDARD.encode(format!("{}:{}", credentials.user, credentials.password));
    secret(&format!("Basic {pair}"))
}

/// A header that is never shown.
fn secret(text: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Failure::nonsense("what authorises cannot be sent: it holds control characters"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The answer of a token server.
#[derive(Deserialize)]
struct Granted {
    #[serde(default)]
    token: String,
    /// The name that OAuth has for it.
    #[serde(default)]
    access_token: String,
}

/// Fetches a token for reading a repository, anonymously without credentials.
pub(super) async fn token(
    http: &Http,
    place: &Place,
    bearer: &Bearer,
    credentials: Option<Credentials>,
) -> Result<HeaderValue, Failure> {
    let nonsense = |what: &str| Failure::nonsense(format!("{} sends for a token to {what}", place.registry));
    let mut url = Url::parse(&bearer.realm).map_err(|_| nonsense("what is no address"))?;
    match url.scheme() {
        "https" => {}
        // A registry by plain HTTP may have a token server of its kind; others must not have passwords sent there.
        "http" if !place.is_secure => {}
        _ => return Err(nonsense("an address without HTTPS, which is refused")),
    }
    let usual = format!("repository:{}:pull", place.repository);
    url.query_pairs_mut().append_pair("scope", bearer.scope.as_deref().unwrap_or(&usual));
    if let Some(service) = &bearer.service {
        url.query_pairs_mut().append_pair("service", service);
    }
    let authorization = credentials.as_ref().map(basic).transpose()?;
    let answer = http.get(&url, "application/json", authorization.as_ref()).await?.expect_ok().await;
    let answer = answer.map_err(|failure| match failure.kind {
        // What is not found there is the way to a token, not the image.
        ErrorKind::NotFound => Failure::nonsense(format!("no token is to be had: {}", failure.message)),
        _ => failure,
    })?;
    let host = answer.host.clone();
    let bytes = answer.document(TOKEN_BYTES).await?;
    // The parser's message could quote what must not be shown.
    let granted: Granted = serde_json::from_slice(&bytes)
        .map_err(|_| Failure::nonsense(format!("{host} answers with what is no token")))?;
    let token = if granted.token.is_empty() { granted.access_token } else { granted.token };
    if token.is_empty() {
        return Err(Failure::nonsense(format!("{host} answers without a token")));
    }
    secret(&format!("Bearer {token}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_preferred_to_a_password() {
        let hub = r#"Bearer realm="https://auth.example/token",service="registry",scope="repository:a/b:pull,push""#;
        let best = |headers: &[&str]| Challenge::best(headers.iter().copied());
        let Some(Challenge::Bearer(bearer)) = best(&[r#"Basic realm="x""#, hub]) else { panic!() };
        assert_eq!(bearer.realm, "https://auth.example/token");
        assert_eq!(bearer.service.as_deref(), Some("registry"));
        assert_eq!(bearer.scope.as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(best(&[r#"basic realm="a, b""#]), Some(Challenge::Basic));
        assert_eq!(best(&["Negotiate"]), None);
        assert_eq!(best(&["=,;", ""]), None);
        assert_eq!(best(&[]), None);
    }
}
