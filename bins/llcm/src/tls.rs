//! Certificates and keys, read from files; an error names the file.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// What a server shows: a certificate chain, the server's own first, and its key.
///
/// # Errors
/// When a file cannot be read or holds no such thing, or the two do not belong together.
pub(crate) fn server(chain: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let certificates =
        certificates(chain).with_context(|| format!("the certificate file {}", chain.display()))?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(explain)
        .with_context(|| format!("the key file {}: expected a private key (PEM)", key.display()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?
        .with_no_client_auth()
        .with_single_cert(certificates, secret)
        .with_context(|| {
            format!("the certificate of {} and the key of {} do not fit", chain.display(), key.display())
        })?;
    Ok(Arc::new(config))
}

/// Whom a client trusts: the authorities of a file, else those of this machine.
///
/// # Errors
/// When the file cannot be read or holds no certificate.
pub(crate) fn client(authorities: Option<&Path>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(file) => {
            let context = || format!("the file of authorities {}", file.display());
            for certificate in certificates(file).with_context(context)? {
                roots.add(certificate).with_context(context)?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                bail!("this machine has no certificates of authorities: give --ca-file FILE");
            }
        }
    }
    with_roots(roots)
}

/// Trusts nobody: for plain HTTP, where nobody has to be trusted.
///
/// # Errors
/// When TLS cannot be set up.
pub(crate) fn nobody() -> anyhow::Result<ClientConfig> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> anyhow::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("cannot set up TLS")?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let found = found.map_err(explain)?;
    if found.is_empty() {
        bail!("it holds no certificate (PEM)");
    }
    Ok(found)
}

/// The reason alone: the kinds' own texts are made for programmers.
fn explain(error: rustls::pki_types::pem::Error) -> anyhow::Error {
    match error {
        rustls::pki_types::pem::Error::Io(error) => error.into(),
        other => anyhow::anyhow!("{other}"),
    }
}
