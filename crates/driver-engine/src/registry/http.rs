//! Requests: GET only, with deadlines, redirects that lose credentials on the way, and bodies that end.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use url::Url;

use super::connect::{Tcp, connector};
use super::failure::{Failure, innermost, tame};
use super::options::RegistryOptions;

/// Registries redirect to where layers lie, mostly once.
const MOST_REDIRECTS: usize = 5;
/// An error's body is not read beyond this.
const ERROR_BYTES: u64 = 64 << 10;

/// Makes requests. Connections are kept and used again.
pub(super) struct Http {
    client: Client<HttpsConnector<Tcp>, Empty<Bytes>>,
    silence: Duration,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http").field("silence", &self.silence).finish_non_exhaustive()
    }
}

/// An answer of which the body is still to come.
#[derive(Debug)]
pub(super) struct Answer {
    /// Who answered.
    pub(super) host: String,
    /// Whether that is who was asked first, and not somebody it redirected to.
    pub(super) is_asked: bool,
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    body: Incoming,
    silence: Duration,
}

impl Http {
    pub(super) fn new(options: &RegistryOptions) -> Result<Self, Failure> {
        let client = Client::builder(TokioExecutor::new()).build(connector(options)?);
        Ok(Self { client, silence: options.deadlines.silence })
    }

    /// Asks for an address and follows redirects. What authorises is sent to the first server only.
    pub(super) async fn get(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let (asked, mut authorization) = (url.origin(), authorization);
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let mut answer = self.once(&url, accept, authorization).await?;
            answer.is_asked = url.origin() == asked;
            let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            let location = answer.headers.get(LOCATION).filter(|_| is_redirect);
            let Some(location) = location else { return Ok(answer) };
            let host = &answer.host;
            let next = location.to_str().ok().and_then(|location| url.join(location).ok());
            let next = next
                .filter(|next| matches!(next.scheme(), "http" | "https") && next.has_host())
                .ok_or_else(|| Failure::nonsense(format!("{host} redirects to what is no address")))?;
            if url.scheme() == "https" && next.scheme() != "https" {
                let message = format!("{host} redirects from HTTPS to plain HTTP, which is refused");
                return Err(Failure::nonsense(message));
            }
            if next.origin() != url.origin() {
                authorization = None;
            }
            url = next;
        }
        Err(Failure::nonsense(format!("{} redirects more than {MOST_REDIRECTS} times", host_of(&url))))
    }

    async fn once(
        &self,
        url: &Url,
        accept: &str,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let host = host_of(url);
        let mut request = Request::get(url.as_str())
            .header(USER_AGENT, concat!("llcm/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| Failure::nonsense(format!("{host} cannot be asked: {error}")))?;
        let answer = tokio::time::timeout(self.silence, self.client.request(request)).await;
        let answer: Response<Incoming> =
            answer.map_err(|_| silent(&host, self.silence))?.map_err(|error| {
                let what = if error.is_connect() { "cannot be reached" } else { "does not answer" };
                Failure::passing(format!("{host} {what}: {}", innermost(&error)))
            })?;
        let (parts, body) = answer.into_parts();
        let (status, headers) = (parts.status, parts.headers);
        Ok(Answer { host, is_asked: true, status, headers, body, silence: self.silence })
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn silent(host: &str, silence: Duration) -> Failure {
    Failure::passing(format!("{host} has said nothing for {} s", silence.as_secs()))
}

impl Answer {
    /// The next piece of the body; `None` at its end. A body that ends early is an error.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let frame = tokio::time::timeout(self.silence, self.body.frame()).await;
            let Some(frame) = frame.map_err(|_| silent(&self.host, self.silence))? else { return Ok(None) };
            let frame = frame.map_err(|error| {
                Failure::passing(format!("the answer of {} breaks off: {}", self.host, innermost(&error)))
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }

    /// The whole body, which must not be longer than `limit` bytes.
    pub(super) async fn document(mut self, limit: u64) -> Result<Vec<u8>, Failure> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next().await? {
            all.extend_from_slice(&bytes);
            if u64::try_from(all.len()).map_or(true, |length| length > limit) {
                let message = format!("a document of {} is longer than {limit} bytes", self.host);
                return Err(Failure::nonsense(message));
            }
        }
        Ok(all)
    }

    /// The answer, if it is the one that was hoped for; else what is wrong, with the registry's own words.
    pub(super) async fn expect_ok(self) -> Result<Self, Failure> {
        if self.status == StatusCode::OK {
            return Ok(self);
        }
        let (host, status) = (self.host.clone(), self.status.as_u16());
        // Its words are advice only: where they cannot be had, the status must do.
        let said = self.document(ERROR_BYTES).await.map(|body| words(&body)).unwrap_or_default();
        Err(Failure::status(&host, status, &said))
    }
}

/// What the body of an error says (OCI distribution specification, "Error Codes").
fn words(body: &[u8]) -> String {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return String::new() };
    let text = |error: &serde_json::Value| {
        let field = |name: &str| error.get(name)?.as_str().filter(|text| !text.is_empty());
        field("message").or_else(|| field("code")).map(str::to_owned)
    };
    let errors = value.get("errors").and_then(|errors| errors.as_array());
    let said: Vec<_> = errors.into_iter().flatten().filter_map(text).collect();
    // Token servers of Docker Hub say it without a list.
    let said = if said.is_empty() {
        value.get("details").and_then(|it| it.as_str()).unwrap_or_default().to_owned()
    } else {
        said.join(", ")
    };
    tame(&said)
}
