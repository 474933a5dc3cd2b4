//! A whole package: unpacking, loading, comparing hashes.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use llcm_descriptors::SourceFn;
use llcm_packaging::{Expected, Limits, unpack, verify};

const LIMITS: Limits = Limits {
    compressed_bytes: 1 << 20,
    unpacked_bytes: 1 << 20,
    descriptor_bytes: 1 << 18,
    entries: 100,
    ratio: 200,
    depth: 8,
};

fuzz_target!(|bytes: &[u8]| {
    let staging = tempfile::tempdir().expect("a temporary directory");
    if let Ok(unpacked) = unpack(Cursor::new(bytes), staging.path(), &LIMITS) {
        assert!(unpacked.bytes() <= LIMITS.unpacked_bytes);
        assert!(unpacked.members().len() <= 100);
        let content = unpacked.content(&LIMITS).expect("just written");
        for member in unpacked.members() {
            assert_eq!(content.size(member.path.as_str()), Some(member.size));
        }
        let loaded = llcm_fuzz::source(&SourceFn::new(content.paths(), |path| content.read(path)));
        let expected: Vec<_> = loaded
            .contents
            .iter()
            .map(|entry| Expected { path: &entry.path, algorithm: &entry.algorithm, hash: &entry.hash })
            .collect();
        let _ = verify(&content, &expected);
    }
    let left = staging.path().read_dir().expect("it is there").count();
    assert_eq!(left, 0, "nothing stays behind");
});
