//! Unpacking needs no more memory for a large file than for a small one. Alone in its process, so that the peak
//! of the resident memory is its own.

use std::fs::File;
use std::io::Write;

use llcm_packaging::{Expected, Limits, Sha1Reader, unpack, verify};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The peak of this process's resident memory in KiB (proc(5), `VmHWM`).
#[expect(clippy::unwrap_used, reason = "helper of the test")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

const SIZE: u64 = 96 << 20;

#[test]
fn memory_does_not_grow_with_the_package() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.tgo");
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer.start_file("image.tar", options).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..SIZE >> 20 {
        writer.write_all(&chunk).unwrap();
    }
    writer.finish().unwrap();

    let before = peak();
    let (bytes, sha1) = Sha1Reader::new(File::open(&path).unwrap()).finish().unwrap();
    assert!(bytes > SIZE && sha1.len() == 40);
    let unpacked = unpack(File::open(&path).unwrap(), directory.path(), &Limits::default()).unwrap();
    assert_eq!(unpacked.bytes(), SIZE);
    let content = unpacked.content(&Limits::default()).unwrap();
    let line = Expected { path: "image.tar", algorithm: "SHA-256", hash: "00" };
    assert_eq!(verify(&content, &[line]).len(), 1);
    assert!(content.read("image.tar").unwrap_err().contains("max_descriptor"));
    let grown = peak() - before;
    assert!(grown < 6 << 10, "memory grew by {grown} KiB");
}
