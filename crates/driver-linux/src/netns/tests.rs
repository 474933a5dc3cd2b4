//! The directory of namespaces, prepared by many at once.

use std::sync::Barrier;

use super::*;
use crate::tests::is_root;

/// How often something is mounted at a path.
fn mounts(path: &Path) -> usize {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap();
    all.lines().filter(|line| line.split(' ').nth(4) == path.to_str()).count()
}

#[test]
fn a_directory_that_many_prepare_at_once_is_mounted_once() {
    if !is_root() {
        return;
    }
    for _ in 0..20 {
        let made = tempfile::tempdir().unwrap();
        let path = made.path().canonicalize().unwrap().join("netns");
        let barrier = Barrier::new(8);
        let prepare = || {
            barrier.wait();
            NetnsDir(path.clone()).prepare()
        };
        let prepared = std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(prepare)).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect::<DriverResult<Vec<()>>>()
        });
        let count = mounts(&path);
        // Before anything is said: nothing stays mounted.
        for _ in 0..count {
            unmount(&path, UnmountFlags::DETACH).unwrap();
        }
        prepared.unwrap();
        assert_eq!(count, 1);
    }
}
