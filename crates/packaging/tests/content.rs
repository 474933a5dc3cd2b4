//! What comes out of good packages: files, modes, commit, reading, hashes.

use std::fs;
use std::io::Cursor;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use llcm_packaging::{Algorithm, Expected, HashProblem, Limits, Sha1Reader, unpack, verify};
use llcm_testkit::raw_zip::{RawEntry, archive};
use llcm_testkit::{demo_chain, hostile};

fn limits() -> Limits {
    Limits::default()
}

#[test]
fn committing_is_one_rename() {
    let staging = tempfile::tempdir().unwrap();
    let sample = demo_chain();
    let unpacked = unpack(Cursor::new(sample.build()), staging.path(), &limits()).unwrap();
    assert_eq!(unpacked.members().len(), 3);
    let target = staging.path().join("package");
    let committed = unpacked.commit(&target).unwrap();
    assert_eq!(committed, target);
    for (path, bytes) in sample.files() {
        assert_eq!(fs::read(target.join(path)).unwrap(), bytes);
    }
    assert_eq!(staging.path().read_dir().unwrap().count(), 1, "the staging directory became the package");

    // A second one does not replace it, and leaves nothing.
    let again = unpack(Cursor::new(sample.build()), staging.path(), &limits()).unwrap();
    let error = again.commit(&target).unwrap_err();
    assert_eq!(error.code(), "io");
    assert_eq!(staging.path().read_dir().unwrap().count(), 1);
}

#[test]
fn scripts_stay_executable_and_nothing_is_setuid() {
    let staging = tempfile::tempdir().unwrap();
    let bytes = archive(&[
        RawEntry::file("run.sh", b"#!/bin/sh\n").mode(0o104_755),
        RawEntry::file("data", b"data").mode(0o100_666),
        RawEntry::stored("empty/", b"").mode(0o040_755),
    ]);
    let unpacked = unpack(Cursor::new(bytes), staging.path(), &limits()).unwrap();
    let mode = |name: &str| fs::metadata(unpacked.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("run.sh") & 0o7111, 0o111);
    assert_eq!(mode("data") & 0o7111, 0);
    assert!(unpacked.path().join("empty").is_dir());
}

#[test]
fn links_are_neither_listed_nor_followed() {
    let staging = tempfile::tempdir().unwrap();
    let unpacked = unpack(Cursor::new(demo_chain().build()), staging.path(), &limits()).unwrap();
    let content = unpacked.content(&limits()).unwrap();
    assert_eq!(content.paths().len(), 3);
    assert_eq!(content.read("no/such/file"), Ok(None));
    assert_eq!(content.read("../../etc/passwd"), Ok(None));

    // A file that became a link after it was listed, and a folder that did.
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("nsd.yaml"), "secret").unwrap();
    let file = unpacked.path().join("Definitions/nsd.yaml");
    fs::remove_file(&file).unwrap();
    symlink(outside.path().join("nsd.yaml"), &file).unwrap();
    assert!(content.read("Definitions/nsd.yaml").is_err());
    assert!(!unpacked.content(&limits()).unwrap().paths().contains(&"Definitions/nsd.yaml".to_owned()));
    fs::rename(unpacked.path().join("Definitions"), outside.path().join("moved")).unwrap();
    symlink(outside.path(), unpacked.path().join("Definitions")).unwrap();
    assert!(content.read("Definitions/nsd.yaml").is_err());
}

#[test]
fn descriptors_have_a_size_limit() {
    let staging = tempfile::tempdir().unwrap();
    let unpacked = unpack(Cursor::new(demo_chain().build()), staging.path(), &limits()).unwrap();
    let size = unpacked.content(&limits()).unwrap().size("Definitions/nsd.yaml").unwrap();
    let exact = unpacked.content(&Limits { descriptor_bytes: size, ..limits() }).unwrap();
    assert!(exact.read("Definitions/nsd.yaml").unwrap().is_some());
    let tight = unpacked.content(&Limits { descriptor_bytes: size - 1, ..limits() }).unwrap();
    assert!(tight.read("Definitions/nsd.yaml").unwrap_err().contains("max_descriptor"));
}

#[test]
fn hashes_are_compared_in_every_spelling() {
    let staging = tempfile::tempdir().unwrap();
    let bytes = archive(&[RawEntry::file("abc", b"abc")]);
    let content = unpack(Cursor::new(bytes), staging.path(), &limits()).unwrap().content(&limits()).unwrap();
    // The directory is gone, so the listed file is unreadable: that must show.
    let line = Expected { path: "abc", algorithm: "SHA-256", hash: "00" };
    assert!(matches!(verify(&content, &[line])[..], [(0, HashProblem::Unreadable { .. })]));

    let unpacked =
        unpack(Cursor::new(archive(&[RawEntry::file("abc", b"abc")])), staging.path(), &limits()).unwrap();
    let content = unpacked.content(&limits()).unwrap();
    // FIPS 180-4 and RFC 1321 test vectors.
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let md5 = "900150983cd24fb0d6963f7d28e17f72";
    let upper = sha256.to_uppercase();
    let line = |algorithm, hash| Expected { path: "abc", algorithm, hash };
    let good = [
        line("SHA-256", sha256),
        line("sha256", &upper),
        line("MD5", md5),
        line("SHA-256", ""),
        line("", sha256),
        line("", md5),
    ];
    assert_eq!(verify(&content, &good), []);
    let bad = [
        line("SHA-256", md5),
        line("CRC", "00"),
        line("MD5", sha256),
        Expected { path: "missing", algorithm: "SHA-256", hash: md5 },
    ];
    let problems = verify(&content, &bad);
    assert_eq!(problems.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(!problems[0].1.only_warns() && problems[2].1.only_warns());
    assert!(problems[0].1.to_string().contains(sha256), "{}", problems[0].1);
    assert!(matches!(&problems[1].1, HashProblem::UnknownAlgorithm { algorithm, .. } if algorithm == "CRC"));
    assert_eq!(Algorithm::parse("SHA_512"), Some(Algorithm::Sha512));
}

#[test]
fn the_identity_of_an_upload_is_the_sha1_of_its_bytes() {
    let (bytes, sha1) = Sha1Reader::new(&b"abc"[..]).finish().unwrap();
    assert_eq!((bytes, sha1.as_str()), (3, "a9993e364706816aba3e25717850c26c9cd0d89d"));
}

#[test]
fn every_published_package_unpacks() {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if !corpus.is_dir() {
        println!("skipped: no corpus at {}", corpus.display());
        return;
    }
    let mut count = 0;
    for folder in ["tgo", "son"] {
        for entry in fs::read_dir(corpus.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let staging = tempfile::tempdir().unwrap();
            let result = unpack(fs::File::open(&path).unwrap(), staging.path(), &limits());
            // One published file is empty.
            let empty = fs::metadata(&path).unwrap().len() == 0;
            assert_eq!(result.is_err(), empty, "{}: {result:?}", path.display());
            count += usize::from(!empty);
        }
    }
    assert!(count >= 26, "only {count} packages");
}

#[test]
fn hostile_uploads_are_all_different() {
    let names: std::collections::BTreeSet<_> = hostile().into_iter().map(|upload| upload.name).collect();
    assert_eq!(names.len(), hostile().len());
}
