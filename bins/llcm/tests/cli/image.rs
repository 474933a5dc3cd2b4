//! `llcm image`, on a store in a directory of the test's own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use llcm_testkit::process::copy_program;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::run::{Ran, command, finish};

/// A data directory and archives.
struct Fixture {
    directory: tempfile::TempDir,
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A tar file with these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, contents) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(u64::try_from(contents.len()).unwrap());
        header.set_mode(0o644);
        // Somebody whom an ordinary user cannot give files to.
        header.set_uid(4242);
        header.set_gid(4242);
        builder.append_data(&mut header, name, *contents).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A `docker save` archive of one image with one file, and the image's digest.
fn saved(tags: &[&str], file: &str) -> (Vec<u8>, String) {
    let layer = tar(&[(file, b"contents")]);
    let config = json!({"config": {"Cmd": [file]}, "rootfs": {"diff_ids": [digest(&layer)]}}).to_string();
    let manifest = json!([{"Config": "config.json", "RepoTags": tags, "Layers": ["layer.tar"]}]).to_string();
    let packed = gzip(&layer);
    let members: [(&str, &[u8]); 3] =
        [("layer.tar", &packed), ("config.json", config.as_bytes()), ("manifest.json", manifest.as_bytes())];
    (tar(&members), digest(config.as_bytes()))
}

impl Fixture {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn file(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn image(&self, args: &[&str]) -> Ran {
        finish(command(&[&["image"], args].concat()).env("LLCM_DATA_DIR", self.data()).spawn().unwrap())
    }

    fn listed(&self) -> Vec<Value> {
        let lines = self.image(&["ls", "--output", "json"]).json();
        lines.as_array().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        self.listed().iter().map(|line| line["reference"].as_str().unwrap().to_owned()).collect()
    }

    fn layers(&self) -> usize {
        fs::read_dir(self.data().join("engine/images/layers")).unwrap().count()
    }
}

#[test]
fn images_come_and_go() {
    let it = Fixture::new();
    assert_eq!(it.names(), ["host"], "it is built in");
    assert!(!it.data().exists(), "looking makes nothing");
    let (archive, id) = saved(&["vnf:1"], "f");
    let archive = it.file("vnf.tar.gz", &gzip(&archive));
    assert_eq!(it.image(&["load", &archive]).expect(0), "image vnf:1 loaded\n");
    let told = it.image(&["load", &archive, "--name", "registry.example/own"]).expect(0);
    assert_eq!(told, "image registry.example/own:latest loaded\nimage vnf:1 loaded\n");
    let listed = it.listed();
    assert_eq!(it.names(), ["host", "registry.example/own:latest", "vnf:1"]);
    let line = &listed[2];
    assert_eq!((&line["id"], &line["origin"], &line["built_in"]), (&json!(id), &Value::Null, &json!(false)));
    assert!(line["size"].as_u64().unwrap() >= 8 && line["layers"] == 1, "{line}");
    let loaded = line["loaded_at"].as_str().unwrap();
    assert!(loaded.starts_with("20") && loaded.ends_with('Z') && loaded.len() == 20, "{loaded}");
    let table = it.image(&["ls"]).expect(0);
    let rows: Vec<_> = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(rows[0], ["IMAGE", "ID", "SIZE", "LOADED", "FROM"]);
    assert_eq!((rows[1][0], rows[3][0], rows[3][1]), ("host", "vnf:1", &id[7..19]));
    assert!(rows[3].ends_with(&["loaded", "by", "hand"]), "{table}");
    assert_eq!(it.image(&["rm", "registry.example/own"]).expect(0), "image registry.example/own removed\n");
    assert_eq!(it.layers(), 1);
    assert_eq!(it.image(&["rm", &id]).expect(0), format!("image {id} removed\n"));
    assert_eq!((it.layers(), it.names()), (0, vec!["host".to_owned()]));
    let error = it.image(&["rm", "vnf:1"]).expect_error(1);
    assert!(error.contains("there is no image `vnf:1`"), "{error}");
}

#[test]
fn what_runs_keeps_its_image() {
    let it = Fixture::new();
    let archive = it.file("vnf.tar", &saved(&["vnf:1"], "f").0);
    it.image(&["load", &archive]).expect(0);
    let layers = it.data().join("engine/images/layers");
    let layer = fs::read_dir(&layers).unwrap().next().unwrap().unwrap().file_name();
    // As a server leaves it that runs a container.
    let container = it.data().join("engine/containers/vnf0");
    fs::create_dir_all(&container).unwrap();
    let record = json!({"version": 1, "image": {"layers": [layer.to_str().unwrap()]}});
    fs::write(container.join("spec.json"), record.to_string()).unwrap();
    let error = it.image(&["rm", "vnf:1"]).expect_error(1);
    assert!(error.contains("image `vnf:1` is in use: remove its containers first"), "{error}");
    assert_eq!((it.layers(), it.names().len()), (1, 2));
    fs::remove_dir_all(container).unwrap();
    it.image(&["rm", "vnf:1"]).expect(0);
    assert_eq!(it.layers(), 0);
}

#[test]
fn root_file_systems_become_images() {
    let it = Fixture::new();
    let rootfs = tar(&[("bin/sh", b"#!"), ("etc/motd", b"hello")]);
    let file = it.file("rootfs.tar.gz", &gzip(&rootfs));
    let told = it.image(&["import", &file, "--name", "own/vnf"]).expect(0);
    assert!(told.starts_with("image own/vnf:latest made ("), "{told}");
    let args = ["--env", "A=b=c", "--workdir", "/srv", "--user", "1:2", "--", "/bin/run", "--fast", "x y"];
    let args = [&["image", "import", "/dev/stdin", "--name", "own/vnf:2"], &args[..]].concat();
    let mut child = command(&args).env("LLCM_DATA_DIR", it.data()).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&rootfs).unwrap();
    finish(child).expect(0);
    assert_eq!(it.names(), ["host", "own/vnf:2", "own/vnf:latest"]);
    assert_eq!(it.layers(), 1, "both have the same files");
    let config = |number: usize| {
        let id = it.listed()[number]["id"].as_str().unwrap().replace("sha256:", "");
        let text = fs::read(it.data().join(format!("engine/images/images/{id}.json"))).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["config"].clone()
    };
    assert_eq!(config(2)["Cmd"], json!(["/bin/sh"]));
    let expected = json!({
        "Env": ["A=b=c"], "Entrypoint": [], "Cmd": ["/bin/run", "--fast", "x y"],
        "WorkingDir": "/srv", "User": "1:2", "StopSignal": "",
    });
    assert_eq!(config(1), expected);
}

#[test]
fn what_cannot_be_loaded_is_told_with_what_to_do() {
    let it = Fixture::new();
    let archive = it.file("vnf.tar", &saved(&["vnf:1"], "f").0);
    let rootfs = it.file("rootfs.tar", &tar(&[("etc/motd", b"hello")]));
    let foreign = it.directory.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    let platform = json!({"os": "plan9", "architecture": "mips"});
    let index = json!({"manifests": [{"digest": digest(b""), "platform": platform}]});
    fs::write(foreign.join("index.json"), index.to_string()).unwrap();
    let foreign = foreign.to_str().unwrap();
    for (args, expected) in [
        (vec!["load", &rootfs], "`llcm image import` takes a root file system"),
        (vec!["load", foreign], "holds no image for this machine"),
        (vec!["load", "/nonexistent"], "No such file"),
        (vec!["load", &archive, "--name", "A b"], "this is no image reference"),
        (vec!["load", &archive, "--name", "host"], "`host` is the built-in image"),
        (vec!["import", &archive, "--name", "x"], "load it"),
        (vec!["import", &rootfs, "--name", "docker.io/library/host"], "`host` is the built-in image"),
        (vec!["import", &rootfs, "--name", "x", "--env", "=b"], "expected NAME=VALUE"),
        (vec!["import", &rootfs, "--name", "x", "--workdir", "srv"], "expected a path from the root"),
        (vec!["import", "/nonexistent", "--name", "x"], "No such file"),
        (vec!["rm", "host"], "built in and cannot be removed"),
        (vec!["rm", "vnf"], "there is no image `vnf`"),
    ] {
        let error = it.image(&args).expect_error(1);
        assert!(error.contains(expected), "{args:?}: {error}");
        assert_eq!(it.names(), ["host"], "{args:?}");
    }
    for args in [&["load"][..], &["import", "x"], &["rm"], &[]] {
        it.image(args).expect_error(2);
    }
}

/// The data directory is the one that `llcm serve` would have.
#[test]
fn the_store_is_where_the_server_has_it() {
    let it = Fixture::new();
    let archive = it.file("vnf.tar", &saved(&["vnf:1"], "f").0);
    let home = it.directory.path().join("home");
    let ran = |args: &[&str], variables: &[(&str, &Path)]| {
        let mut command = command(&[&["image"], args].concat());
        finish(command.envs(variables.iter().copied()).spawn().unwrap())
    };
    let config = it.file("config.yml", format!("data_dir: {}\n", it.data().display()).as_bytes());
    ran(&["load", &archive, "--config", &config], &[]).expect(0);
    assert!(it.data().join("engine/images/references.json").exists());
    ran(&["rm", "vnf:1"], &[("LLCM_CONFIG", Path::new(&config))]).expect(0);
    let other = it.directory.path().join("other");
    let flag = other.to_str().unwrap();
    ran(&["load", &archive, "--data-dir", flag, "--config", &config], &[("LLCM_DATA_DIR", &home)]).expect(0);
    assert!(other.join("engine/images/references.json").exists() && !home.exists());
}

/// An ordinary user has a store as well, and whoever is not that user leaves it alone.
#[test]
fn each_user_has_a_store() {
    const NOBODY: u32 = 65534;
    let it = Fixture::new();
    let archive = it.file("vnf.tar", &saved(&["vnf:1"], "f").0);
    fs::create_dir(it.data()).unwrap();
    if fs::metadata(it.data()).unwrap().uid() != 0 {
        // The other tests are this one for an ordinary user; another one's store cannot even be made then.
        it.image(&["load", &archive]).expect(0);
        fs::set_permissions(it.data(), fs::Permissions::from_mode(0o000)).unwrap();
        let error = it.image(&["load", &archive]).expect_error(1);
        fs::set_permissions(it.data(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(error.contains("run it as the user that runs the server"), "{error}");
        return;
    }
    fs::set_permissions(it.directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(it.data(), Some(NOBODY), Some(NOBODY)).unwrap();
    // The program may lie where nobody else may look.
    let program = it.directory.path().join("llcm");
    copy_program(env!("CARGO_BIN_EXE_llcm").as_ref(), &program);
    let as_nobody = |args: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command
            .arg("image")
            .args(args)
            .env_clear()
            .env("LLCM_DATA_DIR", it.data())
            .env("LLCM_CONFIG", "/dev/null");
        command.uid(NOBODY).gid(NOBODY).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn().unwrap())
    };
    as_nobody(&["load", &archive]).expect(0);
    assert!(as_nobody(&["ls"]).expect(0).contains("vnf:1"));
    let layers = it.data().join("engine/images/layers");
    let layer = fs::read_dir(&layers).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs::metadata(layer.join("f")).unwrap().uid(), NOBODY);
    // Root would leave there what its owner could not remove.
    let error = it.image(&["load", &archive]).expect_error(1);
    assert!(error.contains("belongs to the user with the number 65534"), "{error}");
    as_nobody(&["rm", "vnf:1"]).expect(0);
    assert!(!layer.exists());
    // And another way round.
    let own = it.directory.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let error = as_nobody(&["load", &archive, "--data-dir", own.to_str().unwrap()]).expect_error(1);
    assert!(error.contains("run it as the user that runs the server"), "{error}");
}

/// Two programs on one store wait for one another.
#[test]
fn images_can_be_loaded_side_by_side() {
    let it = Fixture::new();
    let started: Vec<_> = (0..4)
        .map(|number| {
            let (archive, _) = saved(&[&format!("vnf:{number}")], &format!("f{number}"));
            let archive = it.file(&format!("{number}.tar"), &archive);
            let mut command = command(&["image", "load", &archive]);
            command.env("LLCM_DATA_DIR", it.data()).spawn().unwrap()
        })
        .collect();
    for child in started {
        finish(child).expect(0);
    }
    assert_eq!((it.names().len(), it.layers()), (5, 4));
}
