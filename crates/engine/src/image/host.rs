//! The built-in image `host`: a root directory made here, with the host's own programs bound into it read-only.
//!
//! A demo needs no image at all with it: whatever is installed on the host can be run. Nothing else of the host
//! is there: `/etc`, `/var`, `/home` and the rest are fresh.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{HOST_IMAGE, Image, ImageConfig, tools};
use crate::error::{Context as _, EngineError};

/// Directories with programs and libraries; links among them (`/bin` to `usr/bin`) are made again as links.
const PROGRAMS: &[&str] = &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Files that programs need to be found and linked, and that say nothing about the host's users.
const SETTINGS: &[&str] = &["/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"];

/// Empty directories with their modes.
const EMPTY: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("var", 0o755),
    ("var/cache", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

const TEXTS: &[(&str, &str)] = &[
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\ndaemon:x:1:\nnogroup:x:65534:\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
    ("etc/services", "ssh 22/tcp\ndomain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\n"),
];

/// Whether there is nothing left to make for the image with these tools.
pub(crate) fn is_made(layers: &Path, tools: &[String]) -> bool {
    layers.join(HOST_IMAGE).is_dir() && (tools.is_empty() || layers.join(tools::layer(tools)).is_dir())
}

/// Makes the root directory `base` and describes the image, with tools of these names. The directory is made under
/// another name and renamed, so that it is whole when it is there.
pub(crate) fn make(layers: &Path, tools: &[String]) -> Result<Image, EngineError> {
    let base = layers.join(HOST_IMAGE);
    if !base.is_dir() {
        let staged = layers.join("host.new");
        crate::files::remove_tree(&staged)?;
        fill(&staged)?;
        fs::rename(&staged, &base).context("rename", &staged)?;
    }
    let mut all_layers = vec![HOST_IMAGE.to_owned()];
    let mut path = format!("PATH={}", crate::helper::DEFAULT_PATH);
    if !tools.is_empty() {
        tools::make(layers, tools)?;
        all_layers.push(tools::layer(tools));
        path = format!("{path}:{}", tools::DIRECTORY);
    }
    Ok(Image {
        id: HOST_IMAGE.to_owned(),
        layers: all_layers,
        host_paths: host_paths(),
        config: ImageConfig { env: vec![path], cmd: vec!["/bin/sh".to_owned()], ..ImageConfig::default() },
    })
}

/// Directories of the host that are bound as they are: those of [`PROGRAMS`] that are no links.
fn host_paths() -> Vec<PathBuf> {
    let programs = PROGRAMS
        .iter()
        .map(|name| Path::new("/").join(name))
        .filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()));
    let settings = SETTINGS.iter().map(PathBuf::from).filter(|path| path.exists());
    programs.chain(settings).collect()
}

fn fill(base: &Path) -> Result<(), EngineError> {
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).context("set the mode of", path)
    };
    fs::create_dir(base).context("make directory", base)?;
    mode(base, 0o755)?;
    for (name, bits) in EMPTY {
        let path = base.join(name);
        fs::create_dir(&path).context("make directory", &path)?;
        mode(&path, *bits)?;
    }
    for name in PROGRAMS {
        let (host, path) = (Path::new("/").join(name), base.join(name));
        match fs::symlink_metadata(&host) {
            Ok(found) if found.is_symlink() => {
                let target = fs::read_link(&host).context("read link", &host)?;
                symlink(target, &path).context("make link", &path)?;
            }
            Ok(found) if found.is_dir() => fs::create_dir(&path).context("make directory", &path)?,
            _ => {}
        }
    }
    // Something to bind on, so that no container has to make it.
    for host in SETTINGS.iter().map(Path::new).filter(|path| path.exists()) {
        let path = base.join(host.strip_prefix("/").unwrap_or(host));
        if host.is_dir() {
            fs::create_dir(&path).context("make directory", &path)?;
        } else {
            fs::write(&path, "").context("create", &path)?;
        }
    }
    for (name, text) in TEXTS {
        let path = base.join(name);
        fs::write(&path, text).context("write", &path)?;
        mode(&path, 0o644)?;
    }
    Ok(())
}
