//! Names, what is kept for whom, and root file systems.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::tests::{Fixture, digest, file, layer, saved};
use super::{HOST_IMAGE, Image, ImageConfig};
use crate::error::EngineError;
use crate::files::lock;

/// A directory of an engine that has a container of this image.
fn with_container(state_dir: &Path, image: &Image) {
    let directory = state_dir.join("containers/vnf0");
    fs::create_dir_all(&directory).unwrap();
    let record = serde_json::json!({"version": 7, "spec": {"unknown": true}, "image": image});
    fs::write(directory.join("spec.json"), record.to_string()).unwrap();
}

#[test]
fn removal_keeps_what_others_need() {
    let it = Fixture::new();
    let state = it.directory.path().join("state");
    it.load(&[&[file("shared", "")], &[file("own", "")]]).unwrap();
    let (shared, own) = (it.layer_dir(0), it.layer_dir(1));
    let image = it.store.find("vnf:1").unwrap();
    with_container(&state, &image);
    // Another name may go: the image stays.
    let archive = it.directory.path().join("image.tar");
    assert_eq!(it.store.load(&archive, Some("other")).unwrap(), ["other:latest", "vnf:1"]);
    it.store.remove("other", &state).unwrap();
    for reference in ["vnf:1", image.id.as_str()] {
        let refused = it.store.remove(reference, &state);
        assert!(matches!(refused, Err(EngineError::Conflict { .. })), "{reference}: {refused:?}");
        assert!(own.is_dir() && it.store.find("vnf:1").is_ok());
    }
    // A record that cannot be read is one that nobody knows the layers of.
    let record = state.join("containers/vnf0/spec.json");
    fs::write(&record, "{}").unwrap();
    assert!(matches!(it.store.remove("vnf:1", &state), Err(EngineError::System { .. })));
    assert!(own.is_dir());
    // What was never finished uses nothing.
    fs::rename(state.join("containers/vnf0"), state.join("containers/.vnf0.new")).unwrap();
    it.store.import(&tar_file(&it, &[file("shared", "")]), "second", ImageConfig::default()).unwrap();
    it.store.remove("vnf:1", &state).unwrap();
    assert!(!own.exists() && shared.is_dir(), "the second image needs the shared one");
    assert!(matches!(it.store.remove("vnf:1", &state), Err(EngineError::NotFound { .. })));
    it.store.remove("second", &state).unwrap();
    assert!(!shared.exists() && it.store.list().unwrap().is_empty());
    assert!(matches!(it.store.remove(HOST_IMAGE, &state), Err(EngineError::NotFound { .. })));
}

#[test]
fn what_a_killed_program_was_unpacking_is_swept() {
    let it = Fixture::new();
    it.load(&[&[file("kept", "")]]).unwrap();
    let staging = it.directory.path().join("store/staging");
    assert!(staging.is_dir(), "it is where it is looked for");
    let half = staging.join("layer/bin");
    fs::create_dir_all(&half).unwrap();
    {
        // Somebody is at it.
        let _lock = lock(&it.directory.path().join("store/lock")).unwrap();
        it.store.sweep().unwrap();
        assert!(half.is_dir());
    }
    it.store.sweep().unwrap();
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
    assert!(it.store.find("vnf:1").is_ok());
}

#[test]
fn nothing_stays_of_what_is_refused() {
    let it = Fixture::new();
    let staging = it.directory.path().join("store/staging");
    let left =
        || fs::read_dir(&staging).unwrap().count() + fs::read_dir(it.store.layers_dir()).unwrap().count();
    // It is found to be wrong when the first file is out already.
    let mut torn = layer(&[file("first", "there"), file("second", "")]);
    torn[1024] = b'?';
    torn[1500..1504].copy_from_slice(b"junk");
    let path = it.directory.path().join("rootfs.tar");
    fs::write(&path, &torn).unwrap();
    let error = it.store.import(&path, "x:1", ImageConfig::default()).unwrap_err();
    assert!(matches!(error, EngineError::Image { .. }), "{error}");
    assert_eq!(left(), 0);
    assert!(it.load(&[&[file("../out", "")]]).is_err());
    assert_eq!(left(), 0);
}

fn tar_file(it: &Fixture, items: &[super::tests::Item<'_>]) -> std::path::PathBuf {
    let path = it.directory.path().join("rootfs.tar");
    fs::write(&path, layer(items)).unwrap();
    path
}

#[test]
fn an_image_that_is_about_to_be_used_is_not_removed() {
    let it = Fixture::new();
    let state = it.directory.path().join("state");
    it.load(&[&[file("f", "")]]).unwrap();
    let (image, held) = it.store.hold("vnf:1").unwrap();
    // Those who use images do not wait for one another.
    drop(it.store.hold("vnf:1").unwrap());
    drop(it.store.hold(HOST_IMAGE).unwrap());
    let (done, removed) = mpsc::channel();
    let store = it.store.clone();
    let directory = state.clone();
    let remover = std::thread::spawn(move || done.send(store.remove("vnf:1", &directory)).unwrap());
    assert!(removed.recv_timeout(Duration::from_millis(200)).is_err(), "it must wait");
    with_container(&state, &image);
    drop(held);
    let result = removed.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(matches!(result, Err(EngineError::Conflict { .. })), "{result:?}");
    remover.join().unwrap();
    assert!(it.layer_dir(0).is_dir());
}

#[test]
fn where_an_image_came_from_is_kept_with_its_name() {
    let it = Fixture::new();
    it.load(&[&[file("f", "x")]]).unwrap();
    let archive = it.directory.path().join("image.tar");
    let store = &it.store;
    assert_eq!(store.origin("vnf:1").unwrap(), None);
    let names = store.load_from(&archive, Some("docker.io/library/copy"), Some("elsewhere")).unwrap();
    assert_eq!(names, ["copy:latest", "vnf:1"]);
    assert_eq!(store.origin("copy").unwrap().as_deref(), Some("elsewhere"));
    assert_eq!(store.origin("vnf:1").unwrap().as_deref(), Some("elsewhere"));
    store.load(&archive, None).unwrap();
    assert_eq!(store.origin("vnf:1").unwrap(), None, "it was loaded by hand");
    assert_eq!(store.origin("copy").unwrap().as_deref(), Some("elsewhere"), "it was not");
    assert_eq!(store.origin(&store.find("copy").unwrap().id).unwrap(), None);
    assert_eq!(store.origin(HOST_IMAGE).unwrap(), None);
    assert!(matches!(store.origin("nothing"), Err(EngineError::NotFound { .. })));
    let listed = store.list().unwrap();
    let origins: Vec<_> = listed.iter().map(|it| (it.reference.as_str(), it.origin.as_deref())).collect();
    assert_eq!(origins, [("copy:latest", Some("elsewhere")), ("vnf:1", None)]);
}

#[test]
fn a_name_is_for_an_archive_of_one_image() {
    let it = Fixture::new();
    // Two images in one archive, as `docker save a b` makes it; the second is made by hand from the first.
    let bytes = layer(&[file("f", "x")]);
    let config = |text: &str| {
        serde_json::json!({"config": {"Cmd": [text]}, "rootfs": {"diff_ids": [digest(&bytes)]}}).to_string()
    };
    let one = |config: &str, name: &str| serde_json::json!({"Config": config, "RepoTags": [name], "Layers": ["layer.tar"]});
    let manifest = serde_json::json!([one("a.json", "a:1"), one("b.json", "b:1")]).to_string();
    let members =
        [("layer.tar", bytes.clone()), ("a.json", config("a").into()), ("b.json", config("b").into())];
    let root = it.directory.path().join("archive");
    fs::create_dir(&root).unwrap();
    for (name, contents) in members.into_iter().chain([("manifest.json", manifest.into_bytes())]) {
        fs::write(root.join(name), contents).unwrap();
    }
    let refused = it.store.load(&root, Some("c")).unwrap_err();
    assert!(refused.to_string().contains("holds 2 images"), "{refused}");
    assert!(it.store.list().unwrap().is_empty());
    assert_eq!(it.store.load(&root, None).unwrap(), ["a:1", "b:1"]);
    assert_eq!(it.store.find("b:1").unwrap().config.cmd, ["b"]);
}

#[test]
fn a_listing_tells_size_and_time() {
    let it = Fixture::new();
    let contents = "x".repeat(100_000);
    // A hard link takes nothing.
    let items = [file("f", &contents), super::tests::link("g", tar::EntryType::Link, "f")];
    // What the file system calls now: its clock is coarser than others.
    let now = |name: &str| {
        let path = it.directory.path().join(name);
        fs::write(&path, "").unwrap();
        fs::metadata(path).unwrap().modified().unwrap()
    };
    let before = now("before");
    it.load(&[&items, &[file("h", &contents)]]).unwrap();
    let listed = it.store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert!((200_000..290_000).contains(&listed[0].bytes), "{}", listed[0].bytes);
    assert!(listed[0].loaded >= before && listed[0].loaded <= now("after"));
}

#[test]
fn a_root_file_system_becomes_an_image() {
    let it = Fixture::new();
    let config = || ImageConfig {
        env: vec!["A=b".to_owned()],
        cmd: vec!["/bin/sh".to_owned()],
        ..ImageConfig::default()
    };
    let path = tar_file(&it, &[file("./etc/motd", "hello")]);
    let id = it.store.import(&path, "own/vnf", config()).unwrap();
    let image = it.store.find("own/vnf:latest").unwrap();
    assert_eq!((&image.id, &image.config), (&id, &config()));
    let root = it.store.layers_dir().join(&image.layers[0]);
    assert_eq!(fs::read_to_string(root.join("etc/motd")).unwrap(), "hello");
    // The same again is the same, and other words are another image on the same layer.
    assert_eq!(it.store.import(&path, "own/vnf", config()).unwrap(), id);
    let other = it.store.import(&path, "own/other", ImageConfig::default()).unwrap();
    assert_ne!(other, id);
    assert_eq!(it.store.find(&other).unwrap().layers, image.layers);
    let it = Fixture::new();
    let import = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        it.store.import(&path, "bad", config()).map(|id| vec![id])
    };
    it.refuses(import(b"no tar file"), "");
    it.refuses(import(&[0_u8; 1024]), "no file is in it");
    it.refuses(import(&saved(&[(layer(&[file("f", "")]), digest(b""))])), "load it");
}
