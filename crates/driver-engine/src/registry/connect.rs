//! Connections: TCP, through a proxy where one is set for HTTPS.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use llcm_runtime::ErrorKind;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::TcpStream;
use tower_service::Service;

use super::failure::Failure;
use super::options::RegistryOptions;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// Connects by TCP.
#[derive(Clone)]
pub(super) struct Tcp {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
    deadline: Duration,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = Boxed;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Boxed>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Boxed>> {
        self.direct.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut direct = self.direct.clone();
        let proxy = if to.scheme_str() == Some("https") { self.proxies.intercept(&to) } else { None };
        let deadline = self.deadline;
        Box::pin(async move {
            let connecting = async {
                let Some(proxy) = proxy else { return direct.call(to).await.map_err(Boxed::from) };
                let mut tunnel = Tunnel::new(proxy.uri().clone(), direct);
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                tunnel.call(to).await.map_err(Boxed::from)
            };
            // The library's own deadline leaves out looking up the name, and the proxy's answer.
            tokio::time::timeout(deadline, connecting)
                .await
                .map_err(|_| Boxed::from(format!("no connection within {} s", deadline.as_secs())))?
        })
    }
}

/// The connector for both schemes.
pub(super) fn connector(options: &RegistryOptions) -> Result<HttpsConnector<Tcp>, Failure> {
    let mut direct = HttpConnector::new();
    direct.enforce_http(false);
    direct.set_nodelay(true);
    let mut proxies = Matcher::builder();
    if let Some(proxy) = options.https_proxy.as_deref().filter(|proxy| !proxy.is_empty()) {
        let is_proxy = proxy
            .parse::<Uri>()
            .is_ok_and(|uri| uri.scheme_str().is_none_or(|it| it == "http") && uri.host().is_some());
        if !is_proxy {
            // It may hold a password, so it is not repeated.
            let message = "the proxy for HTTPS is no address of the form http://HOST:PORT";
            return Err(Failure::new(ErrorKind::Invalid, message));
        }
        proxies = proxies.https(proxy);
    }
    if let Some(hosts) = &options.no_proxy {
        proxies = proxies.no(hosts.as_str());
    }
    let tcp = Tcp { direct, proxies: Arc::new(proxies.build()), deadline: options.deadlines.connect };
    let tls = tls(options.certificates.as_deref())?;
    Ok(hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}

/// TLS that trusts the machine's authorities and those in a file.
fn tls(file: Option<&Path>) -> Result<rustls::ClientConfig, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("certificates of this machine: {error}");
    }
    // One that cannot be used is left out, as everywhere; without any, every connection by HTTPS says so.
    roots.add_parsable_certificates(found.certs);
    if let Some(path) = file {
        let invalid = |error: &dyn std::fmt::Display| {
            let message = format!("cannot use the certificates in {}: {error}", path.display());
            Failure::new(ErrorKind::Invalid, message)
        };
        let mut count = 0;
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| invalid(&error))? {
            roots.add(certificate.map_err(|error| invalid(&error))?).map_err(|error| invalid(&error))?;
            count += 1;
        }
        if count == 0 {
            return Err(invalid(&"there is none in it"));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.map_err(|error| Failure::new(ErrorKind::Unsupported, error.to_string()))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
