//! The users and groups of an image, read before anything of it runs.

use std::io::Read as _;
use std::path::Path;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::beneath::Beneath;

/// More users than this are not looked at.
const LONGEST: u64 = 1 << 20;

/// The text of a file such as `etc/passwd` as a container of these layers, lowest first, sees it; empty when it is
/// not there, or cannot be found without following a link out of its layer. That is for a check: what counts is
/// what the container's own process finds.
pub(crate) fn text_in(layers_dir: &Path, layers: &[String], path: &Path) -> String {
    layers.iter().rev().find_map(|layer| text_of(&layers_dir.join(layer), path)).unwrap_or_default()
}

/// `None` when the layer has nothing of that name, so that the one below shows through.
fn text_of(layer: &Path, path: &Path) -> Option<String> {
    let layer = Beneath::open(layer).ok()?;
    // A FIFO would wait for a writer.
    let opened = match layer.open_at(path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Err(Errno::NOENT) => return None,
        opened => opened,
    };
    // Something that cannot be opened, a whiteout say, hides what is below.
    let Ok(opened) = opened else { return Some(String::new()) };
    let is_file = rustix::fs::fstat(&opened)
        .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::RegularFile);
    let mut text = Vec::new();
    if is_file && std::fs::File::from(opened).take(LONGEST).read_to_end(&mut text).is_err() {
        text.clear();
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_uppermost_layer_counts_and_links_do_not_leave() {
        let root = tempfile::tempdir().unwrap();
        let layers = ["lower", "upper"].map(str::to_owned);
        for layer in &layers {
            fs::create_dir_all(root.path().join(layer).join("etc")).unwrap();
        }
        let text = || text_in(root.path(), &layers, Path::new("etc/passwd"));
        assert_eq!(text(), "");
        fs::write(root.path().join("lower/etc/passwd"), "lower").unwrap();
        assert_eq!(text(), "lower");
        let upper = root.path().join("upper/etc/passwd");
        fs::write(&upper, "upper").unwrap();
        assert_eq!(text(), "upper");
        for target in ["/etc/passwd", "../../lower/etc/passwd", "/proc/self/status"] {
            fs::remove_file(&upper).unwrap();
            std::os::unix::fs::symlink(target, &upper).unwrap();
            assert_eq!(text(), "", "{target}");
        }
        fs::remove_file(&upper).unwrap();
        let fifo = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &upper, FileType::Fifo, fifo, 0).unwrap();
        assert_eq!(text(), "");
    }
}
