//! Every hostile or broken upload is refused with a reason, in bounded time, and nothing stays on disk.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use llcm_packaging::{ErrorKind, Limits, PackagingError, unpack};
use llcm_testkit::{Stage, demo_chain, hostile};

fn assert_empty(directory: &Path) {
    let left: Vec<_> = directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

fn refusal(bytes: &[u8], limits: &Limits) -> PackagingError {
    let staging = tempfile::tempdir().unwrap();
    let error = unpack(Cursor::new(bytes), staging.path(), limits).expect_err("must be refused");
    assert_empty(staging.path());
    error
}

#[test]
fn hostile_archives_are_refused_with_a_reason() {
    let limits = Limits::default();
    let mut count = 0;
    for upload in hostile().iter().filter(|upload| upload.stage == Stage::Archive) {
        let start = Instant::now();
        let error = refusal(&upload.bytes, &limits);
        let name = upload.name;
        assert_eq!(error.code(), upload.code, "{name}: {error}");
        assert!(error.to_string().contains(upload.says), "{name}: {error}");
        let status = match error.kind() {
            ErrorKind::NotAPackage => 400,
            ErrorKind::TooLarge => 413,
            ErrorKind::Invalid => 422,
            ErrorKind::Io => 500,
        };
        assert_eq!(status, upload.status, "{name}: {error}");
        assert!(start.elapsed() < Duration::from_secs(10), "{name}: took {:?}", start.elapsed());
        count += 1;
    }
    assert!(count > 30, "only {count} archives were tried");
}

#[test]
fn what_only_descriptors_can_refuse_unpacks() {
    for upload in hostile().iter().filter(|upload| upload.stage != Stage::Archive) {
        let staging = tempfile::tempdir().unwrap();
        let unpacked = unpack(Cursor::new(&upload.bytes), staging.path(), &Limits::default());
        assert!(unpacked.is_ok(), "{}: {unpacked:?}", upload.name);
        drop(unpacked);
        assert_empty(staging.path());
    }
}

#[test]
fn limits_count_what_is_written() {
    let package = demo_chain().file("big.bin", vec![b'x'; 300_000]).build();
    let tight = Limits { unpacked_bytes: 200_000, ..Limits::default() };
    assert_eq!(refusal(&package, &tight).code(), "content-too-large");
    let tight = Limits { compressed_bytes: 100, ..Limits::default() };
    assert_eq!(refusal(&package, &tight).code(), "archive-too-large");
    let tight = Limits { entries: 3, ..Limits::default() };
    assert_eq!(refusal(&package, &tight).code(), "too-many-entries");
    let tight = Limits { depth: 1, ..Limits::default() };
    assert_eq!(refusal(&package, &tight).code(), "path-too-deep");
    let exact = Limits { unpacked_bytes: 400_000, entries: 4, depth: 2, ..Limits::default() };
    let staging = tempfile::tempdir().unwrap();
    assert!(unpack(Cursor::new(&package), staging.path(), &exact).is_ok());
}

#[test]
fn a_truncated_package_is_refused_wherever_it_is_cut() {
    let package = demo_chain().build();
    let step = package.len() / 60 + 1;
    for end in (0..package.len()).step_by(step) {
        let error = refusal(&package[..end], &Limits::default());
        assert_eq!(error.kind(), ErrorKind::NotAPackage, "cut at {end}: {error}");
    }
}

/// Whatever one byte says, the archive unpacks to something inside the staging directory or not at all.
#[test]
fn changed_bytes_do_no_harm() {
    let package = demo_chain().build();
    for at in (0..package.len()).step_by(7) {
        for flip in [0x01, 0x80, 0xff] {
            let mut changed = package.clone();
            changed[at] ^= flip;
            let staging = tempfile::tempdir().unwrap();
            if let Ok(unpacked) = unpack(Cursor::new(&changed), staging.path(), &Limits::default()) {
                assert!(unpacked.bytes() < 1 << 20);
            }
            assert_empty(staging.path());
        }
    }
}
