//! TLS: served, and not held up by those who do it badly.

use std::sync::Arc;
use std::time::{Duration, Instant};

use llcm_api::ApiSettings;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::common::Server;
use crate::wire::{Client, Running};

/// A server's configuration, and a client's that trusts the authority behind it.
fn pair() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate().unwrap();
    let authority = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate =
        CertificateParams::new(names).unwrap().signed_by(&key, &authority, &authority_key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

async fn get(running: &Running, client: &Arc<ClientConfig>, path: &str) -> std::io::Result<String> {
    let stream = TcpStream::connect(running.address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::clone(client)).connect(name, stream).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    Ok(reply)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_are_served_by_tls_to_those_who_trust_it() {
    let server = Server::start().await;
    let (config, client) = pair();
    let running = Running::start_at(&server, "127.0.0.1:0", Some(config));
    let reply = get(&running, &client, "/packages").await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    let (_, stranger) = pair();
    assert!(get(&running, &stranger, "/packages").await.is_err(), "another authority's");
    let mut plain = Client::connect(&running).await;
    plain.write("GET /packages HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let answer = plain.rest().await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_do_not_come_or_are_none_hold_up_nobody() {
    let settings = ApiSettings { tls_timeout: Duration::from_secs(4), ..ApiSettings::default() };
    let server = Server::with(llcm_runtime::simulated::Script::default(), settings).await;
    let (config, good) = pair();
    let running = Running::start_at(&server, "127.0.0.1:0", Some(config));
    let begun = Instant::now();
    let mut bad = Vec::new();
    for number in 0..60 {
        let mut client = Client::connect(&running).await;
        // Nothing; the beginning of a handshake; what is none.
        match number % 3 {
            0 => {}
            1 => client.write("\u{16}\u{3}\u{1}\u{2}").await,
            _ => client.write("GET / HTTP/1.1\r\n\r\n").await,
        }
        bad.push(client);
    }
    let reply = get(&running, &good, "/api/llcm/v1/health").await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    assert!(begun.elapsed() < Duration::from_millis(3900), "it waited for the others: {:?}", begun.elapsed());
    for mut client in bad {
        // Ends, or was ended with a reset.
        let mut bytes = Vec::new();
        let ended =
            tokio::time::timeout(Duration::from_secs(30), client.stream.read_to_end(&mut bytes)).await;
        assert!(ended.is_ok(), "a connection without a handshake is kept");
    }
    running.stop().await;
}
