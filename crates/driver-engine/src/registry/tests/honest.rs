//! Registries that do what they should.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use llcm_runtime::ErrorKind;

use super::super::Registry;
use super::super::manifest::Platform;
use super::image::{Packed, Repository, Words};
use super::server::{Reply, Server, proxy};
use super::{options, pull, pull_with, usual, vnf};
use crate::source::ImageSource as _;

#[tokio::test]
async fn images_of_both_forms_and_all_packings_come_whole() {
    for words in [Words::Docker, Words::Oci] {
        for packed in [Packed::Plain, Packed::Gzip, Packed::Zstd] {
            let mut repository = Repository::default();
            let ours = Platform::ours();
            let foreign = Platform { architecture: "mips".to_owned(), ..ours.clone() };
            let (manifest, config) = repository.image(words, packed, &["bottom", "top"], &ours);
            let (other, _) = repository.image(words, packed, &["other"], &foreign);
            let list = repository.list(words, &[(&other, foreign), (&manifest, ours)]);
            repository.tag("1", &manifest);
            repository.tag("latest", &list);
            let server = Server::start(move |asked| repository.reply(asked)).await;
            let address = server.address;
            for version in [":1", "", &format!("@{manifest}"), &format!("@{list}"), &format!(":9@{list}")] {
                let reference = format!("{address}/vnf{version}");
                let pulled = pull(&reference).await;
                let expected = (config.clone(), vec!["bottom".to_owned(), "top".to_owned()]);
                assert_eq!(pulled.loaded(&reference), expected, "{words:?} {packed:?} {reference}");
                let registry = Registry::new(options()).unwrap();
                assert_eq!(registry.digest(&reference).await.unwrap(), Some(config.clone()));
            }
        }
    }
}

#[tokio::test]
async fn progress_is_told_for_each_layer() {
    let (repository, manifest, _) = usual();
    let layers = repository.layers(&manifest);
    let sizes: Vec<_> = layers
        .iter()
        .map(|it| u64::try_from(repository.get(&format!("blobs/{it}")).len()).unwrap())
        .collect();
    let server = Server::start(move |asked| repository.reply(asked)).await;
    let reference = vnf(&server);
    let pulled = pull(&reference).await;
    let first = &pulled.events[0];
    assert_eq!((&first.subject, first.status.starts_with("Pulling")), (&reference, true), "{first:?}");
    for (layer, size) in layers.iter().zip(sizes) {
        let subject = &layer[7..19];
        let of: Vec<_> = pulled.events.iter().filter(|event| event.subject == subject).collect();
        assert_eq!((of[0].status.as_str(), of[0].bytes), ("Downloading", Some((0, size))));
        let last = of.last().unwrap();
        assert_eq!((last.status.as_str(), last.bytes), ("Download complete", Some((size, size))));
    }
}

/// Layers that are the same are fetched once; of the others, as many side by side as is allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn layers_come_side_by_side_and_not_all_at_once() {
    let mut repository = Repository::default();
    let names: Vec<_> = (0..8).map(|number| format!("layer{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).chain(["layer0"]).collect();
    let (manifest, _) = repository.image(Words::Oci, Packed::Plain, &names, &Platform::ours());
    repository.tag("1", &manifest);
    let layers = repository.layers(&manifest);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // Each server answers one request at a time, so there is one for each layer.
    let mut servers = Vec::new();
    let mut targets = std::collections::BTreeMap::new();
    for layer in &layers[..8] {
        let (bytes, now, most) =
            (repository.get(&format!("blobs/{layer}")).to_vec(), now.clone(), most.clone());
        let server = Server::start(move |_| {
            let current = now.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(current, Ordering::SeqCst);
            tokio::task::block_in_place(|| {
                // Until there are two, however busy the machine is; then long enough for too many to come.
                let start = Instant::now();
                while most.load(Ordering::SeqCst) < 2 && start.elapsed() < Duration::from_secs(10) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                std::thread::sleep(Duration::from_millis(60));
            });
            now.fetch_sub(1, Ordering::SeqCst);
            Reply::ok(bytes.clone())
        })
        .await;
        targets.insert(format!("/v2/vnf/blobs/{layer}"), format!("http://{}/{layer}", server.address));
        servers.push(server);
    }
    let main = Server::start(move |asked| match targets.get(&asked.path) {
        Some(target) => Reply::redirect(307, target),
        None => repository.reply(asked),
    })
    .await;
    let pulled = pull(&vnf(&main)).await;
    // What is twice in an image says nothing new the second time: the store keeps the upper one.
    assert_eq!(pulled.loaded(&vnf(&main)).1.len(), 8);
    let most = most.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most} at once");
    assert!(servers.iter().all(|server| server.asked().len() == 1));
}

#[tokio::test]
async fn redirects_of_layers_are_followed_without_what_authorises() {
    let (repository, manifest, config) = usual();
    let layers = repository.layers(&manifest);
    let there = repository.clone();
    let storage =
        Server::start(move |asked| Reply::ok(there.get(asked.path.trim_start_matches("/storage/")).to_vec()))
            .await;
    let target = format!("http://{}/storage", storage.address);
    let directory = tempfile::tempdir().unwrap();
    let here = repository.clone();
    let server = Server::start(move |asked| {
        if asked.header("authorization").is_none() {
            return Reply::status(401, "UNAUTHORIZED", "").with("WWW-Authenticate: Basic realm=\"x\"");
        }
        match asked.path.strip_prefix("/v2/vnf/blobs/") {
            // A path on the same server first, without its name.
            Some(digest) if !digest.ends_with("?again") => {
                Reply::redirect(302, &format!("/v2/vnf/blobs/{digest}?again"))
            }
            Some(digest) => {
                Reply::redirect(307, &format!("{target}/blobs/{}", digest.trim_end_matches("?again")))
            }
            None => here.reply(asked),
        }
    })
    .await;
    let mut options = options();
    options.docker_config = Some(super::auth::docker_config(directory.path(), &server.address.to_string()));
    let pulled = pull_with(options, &vnf(&server)).await;
    assert_eq!(pulled.loaded(&vnf(&server)).0, config);
    let asked = storage.asked();
    assert_eq!(asked.len(), 1 + layers.len());
    assert!(asked.iter().all(|it| it.header("authorization").is_none()), "{asked:?}");
    let again: Vec<_> = server.asked().into_iter().filter(|it| it.path.ends_with("?again")).collect();
    assert!(again.len() == 3 && again.iter().all(|it| it.header("authorization").is_some()), "{again:?}");
}

#[tokio::test]
async fn redirects_have_an_end() {
    let (repository, _, _) = usual();
    let server = Server::start(move |asked| {
        if asked.path.contains("/blobs/") {
            Reply::redirect(302, &asked.path)
        } else {
            repository.reply(asked)
        }
    })
    .await;
    let pulled = pull(&vnf(&server)).await;
    assert_eq!(pulled.error().0, ErrorKind::Failed);
    assert!(pulled.error().1.contains("redirects more than 5 times"), "{:?}", pulled.error());
    let server = Server::start(|_| Reply::redirect(302, "file:///etc/passwd")).await;
    let pulled = pull(&vnf(&server)).await;
    assert!(pulled.error().1.contains("redirects to what is no address"), "{:?}", pulled.error());
}

/// A certificate for these names, as a server has it and as a file.
fn certificate(names: &[&str], file: &std::path::Path) -> tokio_rustls::TlsAcceptor {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(file, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn https_wants_a_certificate_and_never_goes_back_to_plain_http() {
    let (repository, _, config) = usual();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    let tls = certificate(&["registry.invalid"], &file);
    let back: Arc<Mutex<Option<String>>> = Arc::default();
    let to = Arc::clone(&back);
    let server = Server::start_with(Some(tls), move |asked| match &*to.lock().unwrap() {
        Some(target) if asked.path.contains("/blobs/") => Reply::redirect(302, target),
        _ => repository.reply(asked),
    })
    .await;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (proxy, _task) = proxy(server.address, Arc::clone(&asked)).await;
    let reference = "registry.invalid/vnf:1";
    let trusting = || {
        let mut options = options();
        options.certificates = Some(file.clone());
        options.https_proxy = Some(format!("http://user:word@{proxy}"));
        options
    };
    let pulled = pull_with(trusting(), reference).await;
    assert_eq!(pulled.loaded(reference).0, config);
    // "user:word" in base64.
    assert_eq!(asked.lock().unwrap()[0], "CONNECT registry.invalid:443 Basic dXNlcjp3b3Jk");
    // Without the certificate.
    let pulled = pull_with(super::RegistryOptions { certificates: None, ..trusting() }, reference).await;
    assert_eq!(pulled.error().0, ErrorKind::Unavailable);
    assert!(pulled.error().1.contains("certificate"), "{:?}", pulled.error());
    // With one for another name.
    let pulled = pull_with(trusting(), "other.invalid/vnf:1").await;
    assert!(pulled.error().1.contains("certificate"), "{:?}", pulled.error());
    // Not through the proxy.
    let direct = super::RegistryOptions { no_proxy: Some("registry.invalid".to_owned()), ..trusting() };
    let before = asked.lock().unwrap().len();
    assert_eq!(pull_with(direct, reference).await.error().0, ErrorKind::Unavailable);
    assert_eq!(asked.lock().unwrap().len(), before);
    *back.lock().unwrap() = Some(format!("http://{}/x", server.address));
    let pulled = pull_with(trusting(), reference).await;
    assert!(pulled.error().1.contains("from HTTPS to plain HTTP"), "{:?}", pulled.error());
}

#[test]
fn options_that_cannot_be_used_are_refused() {
    let refused = |options| Registry::new(options).unwrap_err();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("ca.pem");
    std::fs::write(&file, "no certificate").unwrap();
    let error = refused(super::RegistryOptions { certificates: Some(file), ..options() });
    assert!(error.kind == ErrorKind::Invalid && error.message.contains("there is none in it"), "{error}");
    for proxy in ["socks5://secret@127.0.0.1:1", "/x", "https://secret:x@127.0.0.1"] {
        let error = refused(super::RegistryOptions { https_proxy: Some(proxy.to_owned()), ..options() });
        assert!(error.kind == ErrorKind::Invalid && !error.to_string().contains("secret"), "{error}");
    }
}
