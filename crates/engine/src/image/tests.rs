//! Archives honest and hostile, built in memory entry by entry.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use super::ImageLimits;
use super::manifest::hex;
use super::store::ImageStore;
use crate::error::{EngineError, chain};

/// One entry of a layer; its name and link go into the header byte by byte, unchecked.
pub(super) struct Item<'a>(&'a str, EntryType, &'a str, &'a [u8]);

pub(super) fn file<'a>(name: &'a str, contents: &'a str) -> Item<'a> {
    Item(name, EntryType::Regular, "", contents.as_bytes())
}

pub(super) fn dir(name: &str) -> Item<'_> {
    Item(name, EntryType::Directory, "", b"")
}

pub(super) fn link<'a>(name: &'a str, kind: EntryType, target: &'a str) -> Item<'a> {
    Item(name, kind, target, b"")
}

fn header(item: &Item<'_>) -> Header {
    let mut header = Header::new_gnu();
    let bytes = header.as_mut_bytes();
    bytes[..item.0.len()].copy_from_slice(item.0.as_bytes());
    bytes[157..157 + item.2.len()].copy_from_slice(item.2.as_bytes());
    header.set_entry_type(item.1);
    header.set_size(item.3.len().try_into().unwrap());
    header.set_mode(if item.1 == EntryType::Directory { 0o755 } else { 0o644 });
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    header.set_cksum();
    header
}

pub(super) fn layer(items: &[Item<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for item in items {
        builder.append(&header(item), item.3).unwrap();
    }
    builder.into_inner().unwrap()
}

pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// A `docker save` archive of one image: the layers as they are, and the digests they claim.
pub(super) fn saved(layers: &[(Vec<u8>, String)]) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|(_, id)| id).collect();
    let config = serde_json::json!({
        "config": {"Env": ["PATH=/bin"], "Cmd": ["sh"], "Entrypoint": null, "WorkingDir": "/srv"},
        "rootfs": {"type": "layers", "diff_ids": ids},
    });
    let names: Vec<_> = (0..layers.len()).map(|number| format!("layer{number}.tar")).collect();
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": ["vnf:1"], "Layers": names}]);
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        builder.append(&header(&Item(name, EntryType::Regular, "", bytes)), bytes).unwrap();
    };
    for (name, (bytes, _)) in names.iter().zip(layers) {
        add(name, bytes);
    }
    add("config.json", config.to_string().as_bytes());
    add("manifest.json", manifest.to_string().as_bytes());
    builder.into_inner().unwrap()
}

pub(super) struct Fixture {
    pub(super) directory: tempfile::TempDir,
    pub(super) store: ImageStore,
}

impl Fixture {
    pub(super) fn new() -> Self {
        Self::with(ImageLimits::default())
    }

    pub(super) fn with(limits: ImageLimits) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(&directory.path().join("store"), limits).unwrap();
        Self { directory, store }
    }

    pub(super) fn load_bytes(&self, bytes: &[u8]) -> Result<Vec<String>, EngineError> {
        let path = self.directory.path().join("image.tar");
        fs::write(&path, bytes).unwrap();
        self.store.load(&path, None)
    }

    /// Loads honest digests over the given entries.
    pub(super) fn load(&self, layers: &[&[Item<'_>]]) -> Result<Vec<String>, EngineError> {
        let layers: Vec<_> =
            layers.iter().map(|items| layer(items)).map(|it| (it.clone(), digest(&it))).collect();
        self.load_bytes(&saved(&layers))
    }

    pub(super) fn layer_dir(&self, number: usize) -> PathBuf {
        let image = self.store.find("vnf:1").unwrap();
        self.store.layers_dir().join(&image.layers[number])
    }

    /// Loading must fail with a cause that says `expected`, and leave nothing behind.
    pub(super) fn refuses(&self, result: Result<Vec<String>, EngineError>, expected: &str) {
        let error = result.expect_err("a hostile image was taken");
        let text = chain(&error);
        assert!(text.contains(expected), "{text}");
        assert!(self.store.list().unwrap().is_empty());
        assert_eq!(fs::read_dir(self.store.layers_dir()).unwrap().count(), 0, "a layer was left behind");
    }
}

#[test]
fn an_archive_of_docker_save_becomes_directories() {
    let it = Fixture::new();
    let lower = [dir("bin"), file("bin/sh", "#!"), link("bin/ash", EntryType::Link, "bin/sh"), dir("etc")];
    let upper = [link("lib", EntryType::Symlink, "/usr/lib"), file("./etc/motd", "hello")];
    assert_eq!(it.load(&[&lower, &upper]).unwrap(), ["vnf:1"]);
    assert_eq!(fs::read_to_string(it.layer_dir(1).join("etc/motd")).unwrap(), "hello");
    assert_eq!(fs::read_link(it.layer_dir(1).join("lib")).unwrap(), Path::new("/usr/lib"));
    let shell = fs::metadata(it.layer_dir(0).join("bin/ash")).unwrap();
    assert_eq!((shell.nlink(), shell.mode() & 0o7777, shell.mtime()), (2, 0o644, 1_000_000_000));
    let image = it.store.find("docker.io/library/vnf:1").unwrap();
    assert_eq!((image.config.cmd, image.config.entrypoint), (vec!["sh".to_owned()], vec![]));
    assert_eq!(image.config.working_dir, "/srv");
    assert_eq!(it.store.list().unwrap()[0].layers, 2);
}

#[test]
fn whiteouts_become_the_overlays_marks() {
    let it = Fixture::new();
    let items = [dir("a"), file("a/.wh.gone", ""), dir("b"), file("b/.wh..wh..opq", ""), file("b/new", "")];
    // A name that is removed below and made again hides what is below, in whichever order it is said.
    let order = [file(".wh.c", ""), dir("c"), dir("d"), file(".wh.d", ""), file(".wh.e", ""), file("e", "e")];
    it.load(&[&items, &order]).unwrap();
    let mark = fs::symlink_metadata(it.layer_dir(0).join("a/gone")).unwrap();
    assert!(mark.file_type().is_char_device() && mark.rdev() == 0);
    let is_opaque = |path: PathBuf| {
        let mut value = [0_u8; 4];
        rustix::fs::getxattr(&path, "user.overlay.opaque", &mut value[..]).is_ok_and(|length| length == 1)
    };
    assert!(is_opaque(it.layer_dir(0).join("b")) && !is_opaque(it.layer_dir(0).join("a")));
    assert!(is_opaque(it.layer_dir(1).join("c")) && is_opaque(it.layer_dir(1).join("d")));
    assert_eq!(fs::read_to_string(it.layer_dir(1).join("e")).unwrap(), "e");
}

#[test]
fn compressed_layers_and_archives_are_read() {
    let plain = layer(&[file("f", "contents")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    // Two frames with a skippable one between them.
    let (head, tail) = plain.split_at(700);
    let frame = |bytes| ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest);
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let zstd = [frame(head), skippable.to_vec(), frame(tail)].concat();
    for packed in [gzip.clone(), zstd] {
        let it = Fixture::new();
        it.load_bytes(&saved(&[(packed, digest(&plain))])).unwrap();
        assert_eq!(fs::read_to_string(it.layer_dir(0).join("f")).unwrap(), "contents");
    }
    let it = Fixture::new();
    let mut whole = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    whole.write_all(&saved(&[(gzip, digest(&plain))])).unwrap();
    it.load_bytes(&whole.finish().unwrap()).unwrap();
}

/// An OCI layout in a directory, with an index of two platforms in between.
fn layout(root: &Path, plain: &[u8]) {
    let blob = |bytes: &[u8]| {
        let path = root.join("blobs/sha256").join(digest(bytes).trim_start_matches("sha256:"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        serde_json::json!({"digest": digest(bytes), "size": bytes.len()})
    };
    let config = serde_json::json!({"rootfs": {"diff_ids": [digest(plain)]}}).to_string();
    let manifest =
        serde_json::json!({"config": blob(config.as_bytes()), "layers": [blob(plain)]}).to_string();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let mut ours = blob(manifest.as_bytes());
    ours["platform"] = serde_json::json!({"os": "linux", "architecture": architecture});
    let mut other = blob(b"no manifest at all");
    other["platform"] = serde_json::json!({"os": "plan9", "architecture": "mips"});
    let inner = serde_json::json!({"manifests": [other, ours]}).to_string();
    let mut named = blob(inner.as_bytes());
    named["annotations"] = serde_json::json!({"org.opencontainers.image.ref.name": "oci:2"});
    fs::write(root.join("index.json"), serde_json::json!({"manifests": [named]}).to_string()).unwrap();
}

#[test]
fn an_oci_layout_is_read_as_a_directory_and_as_an_archive() {
    let it = Fixture::new();
    let root = it.directory.path().join("layout");
    layout(&root, &layer(&[file("f", "oci")]));
    assert_eq!(it.store.load(&root, None).unwrap(), ["oci:2"]);
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_dir_all(".", &root).unwrap();
    assert_eq!(it.load_bytes(&builder.into_inner().unwrap()).unwrap(), ["oci:2"]);
    // A blob that is not what its name says.
    let blobs = root.join("blobs/sha256");
    for entry in fs::read_dir(&blobs).unwrap() {
        fs::write(entry.unwrap().path(), b"{}").unwrap();
    }
    let fresh = Fixture::new();
    fresh.refuses(fresh.store.load(&root, None), "should have the digest");
}

#[test]
fn the_host_image_is_there_and_empty_of_the_host() {
    let it = Fixture::new();
    let image = it.store.find("host").unwrap();
    let base = it.store.layers_dir().join(&image.layers[0]);
    assert!(base.join("proc").is_dir() && base.join("usr").is_dir());
    assert_eq!(fs::metadata(base.join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
    assert!(image.host_paths.contains(&PathBuf::from("/usr")));
    assert!(
        !image.host_paths.iter().any(|path| path.starts_with("/etc/passwd") || path == Path::new("/etc"))
    );
}

#[test]
fn entries_that_escape_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    let outside_name = outside.path().to_str().unwrap();
    let up = [file("../evil", "x")];
    let deep = [file("a/../../evil", "x")];
    let through = [link("a", EntryType::Symlink, outside_name), file("a/evil", "x")];
    let climbing = [link("a", EntryType::Symlink, "../../.."), file("a/evil", "x")];
    let whiteout = [link("a", EntryType::Symlink, outside_name), file("a/.wh.precious", "")];
    let opaque = [link("a", EntryType::Symlink, outside_name), file("a/.wh..wh..opq", "")];
    let hard = [link("passwd", EntryType::Link, "../../../../etc/passwd")];
    let hard_through = [link("a", EntryType::Symlink, "/etc"), link("p", EntryType::Link, "a/passwd")];
    let proc = [link("a", EntryType::Symlink, "/proc/self/root/tmp"), file("a/evil", "x")];
    fs::write(outside.path().join("precious"), "kept").unwrap();
    let all: [&[Item<'_>]; 9] =
        [&up, &deep, &through, &climbing, &whiteout, &opaque, &hard, &hard_through, &proc];
    for items in all {
        let it = Fixture::new();
        it.refuses(it.load(&[items]), "leads out of the image");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(outside.path().join("precious")).unwrap(), "kept");
}

#[test]
fn a_name_is_replaced_and_never_written_through() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("target");
    fs::write(&target, "kept").unwrap();
    let it = Fixture::new();
    let items = [link("f", EntryType::Symlink, target.to_str().unwrap()), file("f", "new")];
    it.load(&[&items]).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "kept");
    assert_eq!(fs::read_to_string(it.layer_dir(0).join("f")).unwrap(), "new");
    // A tree that is replaced by a file goes without following its links.
    let it = Fixture::new();
    let inner = [
        dir("d"),
        link("d/l", EntryType::Symlink, outside.path().to_str().unwrap()),
        file("d", "now a file"),
    ];
    it.load(&[&inner]).unwrap();
    assert!(target.exists() && it.layer_dir(0).join("d").is_file());
}

#[test]
fn devices_are_left_out_and_set_user_id_stays() {
    let it = Fixture::new();
    let mut disk = header(&link("sda", EntryType::Block, ""));
    disk.set_device_major(8).unwrap();
    disk.set_cksum();
    let mut su = header(&file("su", ""));
    su.set_mode(0o4755);
    su.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&disk, &b""[..]).unwrap();
    builder.append(&su, &b""[..]).unwrap();
    let bytes = builder.into_inner().unwrap();
    it.load_bytes(&saved(&[(bytes.clone(), digest(&bytes))])).unwrap();
    assert!(!it.layer_dir(0).join("sda").exists());
    assert_eq!(fs::metadata(it.layer_dir(0).join("su")).unwrap().mode() & 0o7777, 0o4755);
}

#[test]
fn wrong_digests_are_refused() {
    let it = Fixture::new();
    let bytes = layer(&[file("f", "x")]);
    it.refuses(it.load_bytes(&saved(&[(bytes.clone(), digest(b"other"))])), "should have the digest");
    it.refuses(it.load_bytes(&saved(&[(bytes.clone(), "sha256:../../etc".to_owned())])), "no SHA-256 digest");
    it.refuses(it.load_bytes(&saved(&[(bytes[..600].to_vec(), digest(&bytes))])), "");
    it.refuses(it.load_bytes(b"nothing of the kind"), "");
}

#[test]
fn bombs_end_at_the_limits() {
    let limits = ImageLimits { bytes: 1 << 20, entries: 50, layers: 3, document_bytes: 4096 };
    let it = Fixture::with(limits);
    let zeros = vec![0_u8; 2 << 20];
    it.refuses(it.load(&[&[Item("f", EntryType::Regular, "", &zeros)]]), "more than 1048576 bytes");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&vec![0_u8; 64 << 20]).unwrap();
    it.refuses(it.load_bytes(&saved(&[(gzip.finish().unwrap(), digest(b""))])), "more than 1048576 bytes");
    // The limit is for all layers together.
    let half = vec![1_u8; 700 << 10];
    let halves = [[Item("a", EntryType::Regular, "", &half)], [Item("b", EntryType::Regular, "", &half)]];
    let halves: Vec<&[Item<'_>]> = halves.iter().map(|it| &it[..]).collect();
    it.refuses(it.load(&halves), "more than 1048576 bytes");
    let many: Vec<_> = (0..60).map(|number| format!("f{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| file(name, "")).collect();
    let error = chain(&it.load(&[&many]).unwrap_err());
    assert!(error.contains("more than 50 entries"), "{error}");
    let error = chain(&it.load(&[&[dir("a")], &[dir("b")], &[dir("c")], &[dir("d")]]).unwrap_err());
    assert!(error.contains("more than 3 layers"), "{error}");
    assert!(it.store.list().unwrap().is_empty());
}

#[test]
fn a_name_that_is_too_long_for_memory_is_refused() {
    let it = Fixture::new();
    let name = vec![b'a'; 8 << 20];
    let bytes = layer(&[Item("././@LongLink", EntryType::GNULongName, "", &name), file("f", "")]);
    it.refuses(it.load_bytes(&saved(&[(bytes.clone(), digest(&bytes))])), "longer than any needs");
}

#[test]
fn names_need_not_be_utf8() {
    let it = Fixture::new();
    let mut odd = header(&file("f_x", ""));
    odd.as_mut_bytes()[1] = 0xff;
    odd.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&odd, &b""[..]).unwrap();
    let bytes = builder.into_inner().unwrap();
    it.load_bytes(&saved(&[(bytes.clone(), digest(&bytes))])).unwrap();
    let name = fs::read_dir(it.layer_dir(0)).unwrap().next().unwrap().unwrap().file_name();
    assert_eq!(name.as_bytes(), b"f\xffx");
    assert!(matches!(it.store.find("sha256:zz"), Err(EngineError::NotFound { .. })));
}
