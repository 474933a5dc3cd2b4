//! Talks to a server's native routes under `/api/llcm/v1`.

mod chains;
pub(crate) mod model;
pub(crate) mod select;
pub(crate) mod stream;
mod token;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures_util::TryStreamExt as _;
use llcm_descriptors::Diagnostic;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Body, Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio_util::io::ReaderStream;

use crate::cli::Connection;
use crate::tls;
use model::{Instance, Request, Service};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may take to answer what it answers from its records.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one round of waiting for a request lasts, in seconds.
const WAIT_SECONDS: u64 = 20;

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// Without a slash at the end.
    server: String,
}

impl Client {
    /// A client; connects at the first request.
    ///
    /// # Errors
    /// When the URL is none, or the file of the token or of the authorities cannot be used.
    pub(crate) fn new(connection: &Connection) -> anyhow::Result<Self> {
        let server = connection.server.trim_end_matches('/');
        let server = if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
        let trusted = match server.split_once("://") {
            Some(("http", _)) if connection.ca_file.is_some() => bail!("--ca-file is for https:// servers"),
            Some(("http", _)) => tls::nobody()?,
            Some(("https", _)) => tls::client(connection.ca_file.as_deref())?,
            _ => bail!("--server takes an http:// or https:// URL, not {server}"),
        };
        let mut headers = HeaderMap::new();
        if let Some(token) = token::read(connection.token_file.as_deref())? {
            token::check_way(&server)?;
            headers.insert(AUTHORIZATION, token);
        }
        // Services are reached directly: a proxy of the environment does not know the loopback address. No server sends
        // clients elsewhere.
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .no_proxy()
            .redirect(Policy::none())
            .tls_backend_preconfigured(trusted)
            .default_headers(headers)
            .build()?;
        Ok(Self { http, server })
    }

    /// Sends a request and returns the answer when it is a success.
    async fn send(
        &self,
        method: Method,
        path: &str,
        fill: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> anyhow::Result<Response> {
        let url = format!("{}/api/llcm/v1{path}", self.server);
        let response =
            fill(self.http.request(method, url)).send().await.map_err(|error| self.explain(error))?;
        if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
    }

    /// Why no answer came, with what to do about it.
    fn explain(&self, error: reqwest::Error) -> anyhow::Error {
        if error.is_connect() {
            if let Some(reason) = certificate_problem(&error) {
                return anyhow!(
                    "the certificate of {} is not to be trusted: {reason}; --ca-file names the authorities to trust",
                    self.server
                );
            }
            return anyhow!(
                "cannot reach a server at {}: start it with `llcm serve`, or name it with --server or LLCM_SERVER",
                self.server
            );
        }
        if error.is_builder() {
            return anyhow!(
                "{} is no URL of a server: write http://ADDRESS:PORT or https://NAME:PORT",
                self.server
            );
        }
        anyhow::Error::new(error.without_url()).context(format!("no answer from {}", self.server))
    }

    /// A GET whose answer is JSON.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.send(Method::GET, path, |request| request.timeout(ANSWER_TIMEOUT)).await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// A GET whose answer goes on for as long as there is something to tell of `what`.
    pub(crate) async fn stream(&self, path: &str, what: &'static str) -> anyhow::Result<stream::Lines> {
        Ok(stream::Lines::new(self.send(Method::GET, path, |request| request).await?, what))
    }

    /// A POST whose answer goes on for as long as there is something to tell of `what`.
    pub(crate) async fn post_stream(
        &self,
        path: &str,
        body: &Value,
        what: &'static str,
    ) -> anyhow::Result<stream::Lines> {
        Ok(stream::Lines::new(self.send(Method::POST, path, |request| request.json(body)).await?, what))
    }

    /// Uploads a package file as a stream; `sent` is told how many bytes went out.
    ///
    /// # Errors
    /// When the file cannot be read, or the server refuses it: the findings are in the text.
    pub(crate) async fn push(
        &self,
        file: &Path,
        sent: impl Fn(u64) + Send + Sync + 'static,
    ) -> anyhow::Result<Value> {
        let name = file.display();
        let opened = tokio::fs::File::open(file).await.with_context(|| format!("cannot open {name}"))?;
        let metadata = opened.metadata().await.with_context(|| format!("cannot read {name}"))?;
        if metadata.is_dir() {
            bail!("{name} is a directory: make a package of it with `llcm pack {name}`");
        }
        let stream = ReaderStream::with_capacity(opened, 64 * 1024).inspect_ok(move |chunk| {
            sent(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        });
        let response = self
            .send(Method::POST, "/packages", |request| {
                request
                    .header(reqwest::header::CONTENT_TYPE, "application/octet-stream")
                    .header(reqwest::header::CONTENT_LENGTH, metadata.len())
                    .body(Body::wrap_stream(stream))
            })
            .await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// Begins to instantiate a service; with a placement of its own, if one is given.
    pub(crate) async fn instantiate(
        &self,
        service: &str,
        placement: Option<&str>,
    ) -> anyhow::Result<Request> {
        let mut body = json!({ "service": service });
        if let Some(placement) = placement {
            body["placement"] = placement.into();
        }
        let response = self
            .send(Method::POST, "/instances", |request| request.json(&body).timeout(ANSWER_TIMEOUT))
            .await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// Begins to terminate an instance.
    pub(crate) async fn terminate(&self, instance: &str) -> anyhow::Result<Request> {
        let path = format!("/instances/{instance}");
        let response = self.send(Method::DELETE, &path, |request| request.timeout(ANSWER_TIMEOUT)).await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// Removes a service.
    pub(crate) async fn remove_service(&self, service: &str) -> anyhow::Result<()> {
        let path = format!("/services/{service}");
        self.send(Method::DELETE, &path, |request| request.timeout(ANSWER_TIMEOUT)).await.map(drop)
    }

    /// A POST of a document, whose answer is JSON.
    pub(crate) async fn post(&self, path: &str, document: String) -> anyhow::Result<Value> {
        let fill = |request: reqwest::RequestBuilder| request.body(document).timeout(ANSWER_TIMEOUT);
        let response = self.send(Method::POST, path, fill).await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// A PATCH whose answer is JSON.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let fill = |request: reqwest::RequestBuilder| request.json(body).timeout(ANSWER_TIMEOUT);
        let response = self.send(Method::PATCH, path, fill).await?;
        response.json().await.map_err(|error| self.explain(error))
    }

    /// A DELETE; what it answers, or `null`.
    pub(crate) async fn delete(&self, path: &str) -> anyhow::Result<Value> {
        let response = self.send(Method::DELETE, path, |request| request.timeout(ANSWER_TIMEOUT)).await?;
        if response.status() == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        response.json().await.map_err(|error| self.explain(error))
    }

    /// Waits until a request is done, however long that takes.
    ///
    /// # Errors
    /// What the request failed with.
    pub(crate) async fn wait(&self, request: &str) -> anyhow::Result<Request> {
        loop {
            let view: Request = self.typed(&format!("/requests/{request}?wait={WAIT_SECONDS}")).await?;
            match view.status.as_str() {
                "READY" => return Ok(view),
                "ERROR" => bail!(view.error.unwrap_or_else(|| "the server does not say why".to_owned())),
                _ => {}
            }
        }
    }

    /// A GET whose answer has a known shape.
    pub(crate) async fn typed<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        typed(self.get(path).await?)
    }

    /// All services, oldest first.
    pub(crate) async fn services(&self) -> anyhow::Result<Vec<Service>> {
        self.typed("/services").await
    }

    /// All instances, oldest first; with `ended` also those that failed lately.
    pub(crate) async fn instances(&self, ended: bool) -> anyhow::Result<Vec<Instance>> {
        self.typed(instances_path(ended)).await
    }
}

/// What is wrong with the server's certificate, if that is the trouble.
fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(found @ rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
            return Some(found.to_string());
        }
        // An error of I/O passes over what it holds itself when it is asked for its source.
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    None
}

/// A name as a segment of a path (RFC 3986, section 2.1).
pub(crate) fn segment(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// The route of the list of instances.
pub(crate) fn instances_path(ended: bool) -> &'static str {
    if ended { "/instances?ended=true" } else { "/instances" }
}

/// Reads an answer.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> anyhow::Result<T> {
    serde_json::from_value(value)
        .context("the server's answer has an unknown shape; are client and server of the same version?")
}

/// The text of an answer that is no success: the server's own words, with the package's findings below.
async fn refusal(response: Response) -> anyhow::Error {
    let status = response.status();
    let Ok(bytes) = response.bytes().await else {
        return anyhow!("the server answered {status} and hung up");
    };
    let Ok(answer) = serde_json::from_slice::<Value>(&bytes) else {
        return not_ours(status);
    };
    let Some(message) = answer.get("error").and_then(Value::as_str) else {
        return not_ours(status);
    };
    let findings = answer
        .get("diagnostics")
        .or_else(|| answer.pointer("/details/diagnostics"))
        .and_then(|list| serde_json::from_value::<Vec<Diagnostic>>(list.clone()).ok())
        .unwrap_or_default();
    let further = findings.iter().filter_map(|finding| what_is_new(finding, message));
    let lines: Vec<String> = std::iter::once(message.to_owned()).chain(further).collect();
    let code = answer.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
    anyhow::Error::new(Refused { code, text: lines.join("\n  "), findings })
}

/// An answer that is no success.
#[derive(Debug)]
struct Refused {
    code: String,
    text: String,
    findings: Vec<Diagnostic>,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Refused {}

/// Whether an error is the server's, with this code.
pub(crate) fn is_refused_as(error: &anyhow::Error, code: &str) -> bool {
    error.downcast_ref::<Refused>().is_some_and(|refused| refused.code == code)
}

/// A refusal for whoever wrote no document: this program made it, and places in it would help nobody.
pub(crate) fn without_places(error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Refused>() {
        Ok(refused) if refused.code == "invalid-change" && !refused.findings.is_empty() => {
            let words = |finding: &Diagnostic| match &finding.path {
                path if path.is_empty() => finding.message.clone(),
                path => format!("{path}: {}", finding.message),
            };
            let text = refused.findings.iter().map(words).collect::<Vec<_>>().join("\n  ");
            anyhow::Error::new(Refused { text, ..refused })
        }
        Ok(refused) => anyhow::Error::new(refused),
        Err(error) => error,
    }
}

/// A finding without what was said already: its place and hint may still be news.
fn what_is_new(finding: &Diagnostic, said: &str) -> Option<String> {
    // In what was sent by itself several places may have the same fault.
    if finding.document.is_empty() && finding.line.is_some() {
        let whole = finding.to_string();
        let bare = whole.split_once("]: ").map_or(&*whole, |(_, bare)| bare);
        return (!said.contains(bare)).then_some(whole);
    }
    if !said.contains(&finding.message) {
        return Some(finding.to_string());
    }
    if finding.document.is_empty() && finding.hint.is_empty() {
        return None;
    }
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = format!("{}{line}", finding.document);
    let words: Vec<&str> =
        [place.as_str(), &finding.path, &finding.hint].into_iter().filter(|word| !word.is_empty()).collect();
    if words.is_empty() { None } else { Some(words.join(": ")) }
}

fn not_ours(status: StatusCode) -> anyhow::Error {
    anyhow!("the server answered {status}: is it an llcm server of this version?")
}
