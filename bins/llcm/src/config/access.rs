//! Who is let in, how much at a time, and what is written down of it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use llcm_access::AuditOptions;
use llcm_api::ApiSettings;

use super::listen::Listen;
use super::raw::RawConfig;
use super::{seconds, set};

/// Everything decided about access.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// What the REST interface is told, without what only the server knows.
    pub(crate) api: ApiSettings,
    /// The file of tokens.
    pub(crate) tokens_file: PathBuf,
    /// Certificate chain and key; without them listeners speak plain HTTP.
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    /// How large the audit log may become.
    pub(crate) audit: AuditOptions,
    /// Why there must be a token, if there must.
    pub(crate) needs_token: Option<String>,
}

impl Access {
    /// Fills in the defaults.
    ///
    /// # Errors
    /// When one of certificate and key is missing, or tokens would go over a network in clear text.
    pub(super) fn resolve(raw: &RawConfig, listen: &[Listen], data_dir: &Path) -> anyhow::Result<Self> {
        let tls = match (&raw.tls_cert, &raw.tls_key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => {
                bail!("--tls-cert needs the certificate's private key, too: give --tls-key FILE")
            }
            (None, Some(_)) => bail!("--tls-key needs the certificate, too: give --tls-cert FILE"),
        };
        let remote =
            listen.iter().find(|listen| !listen.address.ip().is_loopback()).map(|listen| listen.address);
        if let Some(address) = remote
            && tls.is_none()
            && !raw.insecure_plain_http.unwrap_or(false)
        {
            bail!(
                "{address} can be reached from other machines, and without TLS whoever can read the network reads the \
                 tokens, with which containers can be run on this machine: listen on 127.0.0.1, or give --tls-cert and \
                 --tls-key, or, if nobody else can read this network, say --insecure-plain-http"
            );
        }
        let mut api = ApiSettings::default();
        set(&mut api.upload_concurrency, raw.upload_concurrency.map(|count| count.get().into()));
        set(&mut api.max_connections, raw.max_connections.and_then(|count| count.get().try_into().ok()));
        for (place, given) in [
            (&mut api.upload_deadline, raw.upload_deadline),
            (&mut api.header_timeout, raw.header_timeout),
            (&mut api.body_timeout, raw.body_timeout),
            (&mut api.tls_timeout, raw.tls_timeout),
        ] {
            set(place, given.map(|count| seconds(count.get())));
        }
        api.hosts = raw.allowed_hosts.clone().unwrap_or_default();
        api.origins = raw.allowed_origins.clone().unwrap_or_default();
        for origin in &api.origins {
            check_origin(origin)?;
        }
        api.require_tokens = raw.require_tokens.unwrap_or(false);
        let audit = raw.audit_options();
        let needs_token = match remote {
            Some(address) => Some(format!("{address} can be reached from other machines")),
            None => api
                .require_tokens
                .then(|| "the setting `require_tokens` wants a token of every client".to_owned()),
        };
        Ok(Self { api, tokens_file: tokens_file(raw, data_dir), tls, audit, needs_token })
    }
}

impl RawConfig {
    /// How large the audit log may become.
    pub(crate) fn audit_options(&self) -> AuditOptions {
        let mut audit = AuditOptions::default();
        set(&mut audit.file_bytes, self.audit_size.map(|size| size.0));
        set(&mut audit.files, self.audit_files.map(|count| count.get().into()));
        audit
    }
}

/// The file of tokens of a data directory, unless another one is set.
pub(crate) fn tokens_file(raw: &RawConfig, data_dir: &Path) -> PathBuf {
    raw.tokens_file.clone().unwrap_or_else(|| data_dir.join("tokens.json"))
}

/// An origin is a scheme, a host and a port; a path or a star would never match.
fn check_origin(origin: &str) -> anyhow::Result<()> {
    let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    match rest.map(|rest| rest.trim_end_matches('/')) {
        Some(host) if !host.is_empty() && !host.contains(['/', '*', '?', '#', '@', ' ']) => Ok(()),
        _ => bail!("`allowed_origins`: `{origin}` is no origin: write https://HOST or https://HOST:PORT"),
    }
}

/// Whether an address is this machine's own in every case.
pub(crate) fn is_local(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
