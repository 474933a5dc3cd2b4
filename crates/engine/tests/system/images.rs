//! Images on the real overlay: what a layer removes is gone, and an image's links lead nowhere.

use std::fs;
use std::path::Path;

use llcm_engine::image::store::ImageStore;
use llcm_engine::image::{ImageConfig, ImageLimits};
use llcm_engine::{EngineError, Spec};

use crate::kit::Fixture;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("layers_hide_and_remove", layers_hide_and_remove),
    ("links_of_an_image_do_not_lead_to_the_host", links_of_an_image_do_not_lead_to_the_host),
    ("a_root_file_system_is_run", a_root_file_system_is_run),
    ("another_program_takes_no_layer_from_a_container", another_program_takes_no_layer_from_a_container),
];

/// A statically linked busybox is an image of one file.
const BUSYBOX: &str = "/usr/bin/busybox";

/// Writes a `docker save` archive whose layers are given as directories. The digests are computed by the
/// system's own tool.
fn save(at: &Path, layers: &[&Path], command: &[&str]) {
    save_with(at, layers, command, "");
}

pub(crate) fn save_with(at: &Path, layers: &[&Path], command: &[&str], user: &str) {
    let parts = at.with_extension("parts");
    fs::create_dir(&parts).unwrap();
    let mut ids = Vec::new();
    let mut names = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let name = format!("{number}.tar");
        let mut builder = tar::Builder::new(fs::File::create(parts.join(&name)).unwrap());
        builder.follow_symlinks(false);
        builder.append_dir_all(".", layer).unwrap();
        builder.finish().unwrap();
        let output = std::process::Command::new("sha256sum").arg(parts.join(&name)).output().unwrap();
        ids.push(format!("sha256:{}", &String::from_utf8(output.stdout).unwrap()[..64]));
        names.push(name);
    }
    let config = serde_json::json!({
        "config": {"Cmd": command, "Env": ["PATH=/bin", "MADE=by the image"], "User": user},
        "rootfs": {"diff_ids": ids},
    });
    fs::write(parts.join("config.json"), config.to_string()).unwrap();
    let manifest = serde_json::json!([{"Config": "config.json", "RepoTags": ["box:1"], "Layers": names}]);
    fs::write(parts.join("manifest.json"), manifest.to_string()).unwrap();
    let mut builder = tar::Builder::new(fs::File::create(at).unwrap());
    builder.append_dir_all(".", &parts).unwrap();
    builder.finish().unwrap();
}

fn base(at: &Path) {
    fs::create_dir_all(at.join("bin")).unwrap();
    fs::copy(BUSYBOX, at.join("bin/busybox")).unwrap();
    for name in ["sh", "ls", "cat", "echo", "sleep"] {
        std::os::unix::fs::symlink("busybox", at.join("bin").join(name)).unwrap();
    }
}

fn layers_hide_and_remove() {
    let it = Fixture::new();
    let (lower, upper) = (it.directory.path().join("lower"), it.directory.path().join("upper"));
    base(&lower);
    for name in ["gone", "kept", "changed"] {
        fs::create_dir_all(lower.join(name)).unwrap();
        fs::write(lower.join(name).join("file"), name).unwrap();
    }
    for name in ["kept", "changed"] {
        fs::create_dir_all(upper.join(name)).unwrap();
    }
    fs::write(upper.join(".wh.gone"), "").unwrap();
    fs::write(upper.join("changed/.wh..wh..opq"), "").unwrap();
    fs::write(upper.join("changed/new"), "").unwrap();
    let archive = it.directory.path().join("box.tar");
    save(&archive, &[&lower, &upper], &["/bin/sh", "-c", "ls -d /gone; ls /kept /changed; echo $MADE"]);
    it.images().load(&archive, None).unwrap();
    it.run_spec(Spec::new("a", "box:1"));
    it.ends("a");
    let log = it.log("a");
    assert!(log.ends_with("/changed:\nnew\n\n/kept:\nfile\nby the image\n"), "{log}");
    assert!(log.starts_with("ls: /gone: No such file"), "{log}");
    assert!(matches!(it.remove_image("box:1"), Err(EngineError::Conflict { .. })));
    it.remove("a").unwrap();
    it.remove_image("box:1").unwrap();
}

fn links_of_an_image_do_not_lead_to_the_host() {
    let it = Fixture::new();
    let outside = it.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let root = it.directory.path().join("root");
    base(&root);
    // Everything the launcher puts something on or into leads to the host, if it were followed there.
    for name in ["etc", "dev", "proc", "sys", "data"] {
        std::os::unix::fs::symlink(&outside, root.join(name)).unwrap();
    }
    let archive = it.directory.path().join("box.tar");
    save(&archive, &[&root], &["/bin/sleep", "1000"]);
    it.images().load(&archive, None).unwrap();
    let bind = llcm_engine::Bind { host: "/usr".into(), container: "/data/deep".into(), read_only: true };
    it.create(Spec { binds: vec![bind], ..Spec::new("a", "box:1") }).unwrap();
    // Whether it starts is not the point: a dangling link cannot be made a directory.
    let _ = it.start("a");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(outside.to_str().unwrap()));
}

/// Imports a root file system with a busybox as `box:1`.
fn import(it: &Fixture, store: &ImageStore, command: &[&str]) {
    let file = it.directory.path().join("rootfs.tar");
    if !file.exists() {
        let root = it.directory.path().join("rootfs");
        base(&root);
        let mut builder = tar::Builder::new(fs::File::create(&file).unwrap());
        builder.follow_symlinks(false);
        builder.append_dir_all(".", &root).unwrap();
        builder.finish().unwrap();
    }
    let cmd = command.iter().map(|&word| word.to_owned()).collect();
    let config = ImageConfig { env: vec!["MADE=by hand".to_owned()], cmd, ..ImageConfig::default() };
    store.import(&file, "box:1", config).unwrap();
}

fn a_root_file_system_is_run() {
    let it = Fixture::new();
    import(&it, it.images(), &["/bin/sh", "-c", "echo $MADE; ls /bin/busybox"]);
    it.run_spec(Spec::new("a", "box:1"));
    it.ends("a");
    assert_eq!(it.log("a"), "by hand\n/bin/busybox\n");
    it.remove("a").unwrap();
}

/// Between the choice of an image and the record that it is used, somebody else may want to remove it.
fn another_program_takes_no_layer_from_a_container() {
    let it = Fixture::new();
    let state_dir = it.directory.path().join("state");
    let mut outcomes = [0, 0];
    for round in 0..40 {
        import(&it, it.images(), &["/bin/sleep", "1000"]);
        // What a second program has: another handle on the same directories.
        let (root, state) = (state_dir.join("images"), state_dir.clone());
        assert!(root.is_dir(), "{} is the engine's store", root.display());
        let removing = std::thread::spawn(move || {
            ImageStore::open(&root, ImageLimits::default()).unwrap().remove("box:1", &state)
        });
        // The later the container comes, the likelier the removal was first.
        let ahead = std::time::Instant::now();
        while ahead.elapsed() < std::time::Duration::from_micros(round * 100) {
            std::thread::yield_now();
        }
        let created = it.create(Spec::new("a", "box:1"));
        let removed = removing.join().unwrap();
        match (created, removed) {
            (Ok(_), Err(EngineError::Conflict { .. })) => {
                outcomes[0] += 1;
                it.start("a").unwrap();
                it.remove("a").unwrap();
            }
            (Err(EngineError::NotFound { .. }), Ok(())) => outcomes[1] += 1,
            other => panic!("a container without its layers, or neither: {other:?}"),
        }
    }
    assert_eq!(outcomes[0] + outcomes[1], 40);
    println!("the container came first {} times, the removal {} times", outcomes[0], outcomes[1]);
}
