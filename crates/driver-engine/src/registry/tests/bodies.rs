//! Documents and layers that are not what they should be.

use std::time::Duration;

use llcm_engine::image::ImageLimits;
use llcm_runtime::ErrorKind;
use serde_json::json;

use super::super::manifest::{Platform, digest_of};
use super::super::{Registry, RegistryOptions};
use super::image::{Packed, Repository, Words, descriptor};
use super::server::{Reply, Server};
use super::{options, options_for, pull, pull_with, usual, vnf};
use crate::source::ImageSource as _;

/// A registry that answers to one path like this, and is honest otherwise.
async fn with(end: String, reply: Reply) -> Server {
    let (repository, _, _) = usual();
    Server::start(
        move |asked| if asked.path.ends_with(&end) { reply.clone() } else { repository.reply(asked) },
    )
    .await
}

#[tokio::test]
async fn wrong_digests_are_refused() {
    let (repository, manifest, config) = usual();
    let layer = repository.layers(&manifest)[0].clone();
    let length = repository.get(&format!("blobs/{layer}")).len();
    for (end, bytes, what) in [
        (&config, b"{}".to_vec(), "configuration"),
        (&layer, vec![7; length], "layer"),
        (&manifest, b"{}".to_vec(), "manifest"),
    ] {
        let server = with(end.clone(), Reply::ok(bytes)).await;
        let pulled = pull(&format!("{}/vnf@{manifest}", server.address)).await;
        let (kind, message) = pulled.error();
        assert!(kind == ErrorKind::Failed && message.contains("should have the digest"), "{what}: {message}");
        assert!(message.contains(what), "{message}");
        assert_eq!(server.count(end), 1, "what is wrong is not asked for again");
    }
}

#[tokio::test]
async fn what_is_listed_must_have_its_digest() {
    let (mut repository, manifest, _) = usual();
    let list = repository.list(Words::Oci, &[(&manifest, Platform::ours())]);
    repository.tag("1", &list);
    repository.put(&format!("manifests/{manifest}"), "x", br#"{"schemaVersion": 2}"#);
    let server = Server::start(move |asked| repository.reply(asked)).await;
    let pulled = pull(&vnf(&server)).await;
    assert!(pulled.error().1.contains("should have the digest"), "{:?}", pulled.error());
}

#[tokio::test]
async fn endless_bodies_end() {
    let (repository, manifest, config) = usual();
    let layer = repository.layers(&manifest)[1].clone();
    for (end, expected) in [
        ("manifests/1".to_owned(), "longer than 4194304 bytes"),
        (config, "longer than 4194304 bytes"),
        (layer, "that its manifest tells"),
    ] {
        let server = with(end, Reply::endless(200)).await;
        let pulled = pull(&vnf(&server)).await;
        let (kind, message) = pulled.error();
        assert!(kind == ErrorKind::Failed && message.contains(expected), "{expected}: {message}");
        let size = disk(pulled.directory.path());
        assert!(size < 1 << 20, "{size} bytes were written");
    }
}

fn disk(path: &std::path::Path) -> u64 {
    let found = std::fs::symlink_metadata(path).unwrap();
    let inner = found.is_dir().then(|| std::fs::read_dir(path).unwrap());
    found.len() + inner.into_iter().flatten().map(|entry| disk(&entry.unwrap().path())).sum::<u64>()
}

#[tokio::test]
async fn a_layer_that_breaks_off_is_asked_for_again() {
    let (repository, manifest, config) = usual();
    let layer = repository.layers(&manifest)[1].clone();
    let bytes = repository.get(&format!("blobs/{layer}")).to_vec();
    let half = bytes[..bytes.len() / 2].to_vec();
    for broken in [
        Reply::broken(bytes.len(), &half),
        Reply::to_the_end(&half),
        Reply::status(502, "", ""),
        Reply::silence(),
    ] {
        let (repository, end, mut left) = (repository.clone(), layer.clone(), 2);
        let (again, options) = (broken.clone(), options_for(&broken));
        let server = Server::start(move |asked| {
            if asked.path.ends_with(&end) && left > 0 {
                left -= 1;
                return again.clone();
            }
            repository.reply(asked)
        })
        .await;
        let pulled = pull_with(options.clone(), &vnf(&server)).await;
        assert_eq!(pulled.loaded("vnf").0, config, "{broken:?}");
        assert_eq!(server.count(&layer), 3);
        let retries = pulled.events.iter().filter(|event| event.status.starts_with("Retrying: ")).count();
        assert_eq!(retries, 2, "{:?}", pulled.events);
        // Not for ever.
        let server = with(layer.clone(), broken).await;
        let pulled = pull_with(options, &vnf(&server)).await;
        let (kind, message) = pulled.error();
        assert!(kind == ErrorKind::Unavailable && message.contains("(asked for 3 times)"), "{message}");
        assert_eq!(server.count(&layer), 3);
    }
    // What the registry does not have is not there the next time.
    let server = with(layer.clone(), Reply::status(404, "BLOB_UNKNOWN", "blob unknown")).await;
    assert_eq!(pull(&vnf(&server)).await.error().0, ErrorKind::NotFound);
    assert_eq!(server.count(&layer), 1);
}

#[tokio::test]
async fn an_image_for_other_machines_is_named_as_such() {
    let foreign = |architecture: &str| Platform { architecture: architecture.to_owned(), ..Platform::ours() };
    let mut repository = Repository::default();
    let (mips, _) = repository.image(Words::Docker, Packed::Gzip, &["a"], &foreign("mips"));
    let (sparc, _) = repository.image(Words::Docker, Packed::Gzip, &["b"], &foreign("sparc"));
    let entries = [(mips.as_str(), foreign("mips")), (&sparc, foreign("sparc"))];
    let list = repository.list(Words::Docker, &entries);
    repository.tag("1", &list);
    repository.tag("single", &mips);
    let server = Server::start(move |asked| repository.reply(asked)).await;
    for (tag, there_is) in [("1", "linux/mips, linux/sparc"), ("single", "linux/mips")] {
        let reference = format!("{}/vnf:{tag}", server.address);
        let pulled = pull(&reference).await;
        let (kind, message) = pulled.error();
        assert!(
            kind == ErrorKind::NotFound && message.ends_with(&format!("has it for {there_is}")),
            "{message}"
        );
        assert!(message.contains(&Platform::ours().to_string()), "{message}");
        // Who asks several places hears of it, too.
        let directory = tempfile::tempdir().unwrap();
        let fetched = Registry::new(options()).unwrap().fetch(&reference, directory.path(), &()).await;
        assert_eq!(fetched.unwrap_err().kind, ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn manifests_that_exceed_the_limits_are_refused_before_anything_is_fetched() {
    let layer = |size: u64| json!({"digest": digest_of(&size.to_le_bytes()), "size": size});
    let config = descriptor("", b"{}");
    let limits = ImageLimits { bytes: 1000, layers: 3, ..ImageLimits::default() };
    for (config, layers, expected) in [
        (config.clone(), json!([layer(500), layer(501)]), "larger than the 1000 bytes"),
        (config.clone(), json!([layer(u64::MAX), layer(u64::MAX)]), "larger than the 1000 bytes"),
        (config.clone(), json!([layer(1), layer(2), layer(3), layer(4)]), "has 4 layers, and 3 are allowed"),
        (config.clone(), json!([{"digest": "sha256:../../../../tmp/x", "size": 1}]), "is no SHA-256 digest"),
        (json!({"digest": "../x", "size": 1}), json!([]), "is no SHA-256 digest"),
        (config.clone(), json!([{"digest": digest_of(b""), "size": -1}]), "cannot be understood"),
    ] {
        let mut repository = Repository::default();
        let document = json!({"schemaVersion": 2, "config": config, "layers": layers});
        let manifest = repository.manifest("x", &document);
        repository.tag("1", &manifest);
        let server = Server::start(move |asked| repository.reply(asked)).await;
        let pulled = pull_with(RegistryOptions { limits, ..options() }, &vnf(&server)).await;
        let (kind, message) = pulled.error();
        assert!(kind == ErrorKind::Failed && message.contains(expected), "{expected}: {message}");
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn lists_within_lists_end() {
    let mut repository = Repository::default();
    let (mut inner, _) = repository.image(Words::Oci, Packed::Gzip, &["a"], &Platform::ours());
    for depth in 1..=4 {
        inner = repository.list(Words::Oci, &[(&inner, Platform::ours())]);
        repository.tag(&depth.to_string(), &inner);
    }
    let server = Server::start(move |asked| repository.reply(asked)).await;
    assert!(pull(&format!("{}/vnf:3", server.address)).await.result.is_ok());
    let pulled = pull(&format!("{}/vnf:4", server.address)).await;
    assert!(pulled.error().1.contains("nested too deeply"), "{:?}", pulled.error());
}

#[tokio::test]
async fn a_pull_that_is_dropped_leaves_files_only() {
    let (repository, manifest, _) = usual();
    let layer = repository.layers(&manifest)[0].clone();
    let (asked_for, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let end = layer.clone();
    let server = Server::start(move |asked| {
        if asked.path.ends_with(&end) {
            asked_for.send(()).unwrap();
            return Reply::silence();
        }
        repository.reply(asked)
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::new(options()).unwrap();
    let reference = vnf(&server);
    {
        let pulling = registry.pull(&reference, directory.path(), &());
        tokio::select! {
            biased;
            _ = asked.recv() => {}
            _ = pulling => panic!("it cannot end"),
        }
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let names: Vec<_> =
        std::fs::read_dir(directory.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names, ["layout"]);
    assert!(!directory.path().join("layout/index.json").exists(), "what is not whole must not look so");
    // The connection is gone, and the client still works.
    assert_eq!(registry.digest(&reference).await.unwrap().map(|it| it.len()), Some(71));
}
