//! Uploads that must be refused, each with what the refusal must say.

use crate::package::NAPD;
use crate::package_broken::broken_descriptors;
use crate::package_samples::demo_chain;
use crate::raw_zip::{RawEntry, archive, archive_with};

/// Who refuses an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Unpacking: the code is `llcm_packaging::PackagingError::code`.
    Archive,
    /// Reading the descriptors: the code is that of an error among the diagnostics.
    Descriptors,
    /// Comparing hashes, where integrity is enforced.
    Integrity,
}

/// A hostile or broken upload.
#[derive(Debug, Clone)]
pub struct Hostile {
    /// What it is, in a few words.
    pub name: &'static str,
    /// Who refuses it.
    pub stage: Stage,
    /// The HTTP status: 400 no package, 413 too large, 422 refused for what is in it.
    pub status: u16,
    /// A stable word for programs.
    pub code: &'static str,
    /// What the message must contain.
    pub says: &'static str,
    /// The upload.
    pub bytes: Vec<u8>,
}

/// All of them. They are small, whatever would come out of them.
#[must_use]
pub fn hostile() -> Vec<Hostile> {
    let mut all = broken_archives();
    all.extend(bad_entries());
    all.extend(bombs());
    all.extend(broken_descriptors());
    all
}

pub(crate) type Row = (&'static str, u16, &'static str, &'static str, Vec<u8>);

pub(crate) fn rows(stage: Stage, rows: Vec<Row>) -> Vec<Hostile> {
    rows.into_iter()
        .map(|(name, status, code, says, bytes)| Hostile { name, stage, status, code, says, bytes })
        .collect()
}

fn broken_archives() -> Vec<Hostile> {
    let good = demo_chain().build();
    let cut = good[..good.len() / 2].to_vec();
    let mut damaged = archive(&[RawEntry::stored("a.txt", b"good content")]);
    damaged[35 + 3] ^= 0xff;
    let mut prefixed = b"#!/bin/sh\nexit\n".to_vec();
    prefixed.extend(&good);
    let fields = archive_with(&[RawEntry::file("a.txt", b"a")], 40_000, &[]);
    rows(
        Stage::Archive,
        vec![
            ("empty file", 400, "empty-file", "is empty", Vec::new()),
            ("plain text", 400, "not-an-archive", "not a zip archive", b"I am no package\n".repeat(100)),
            ("zeros", 400, "not-an-archive", "not a zip archive", vec![0; 100_000]),
            ("truncated", 400, "not-an-archive", "truncated", cut),
            ("damaged data", 400, "damaged-entry", "`a.txt` is damaged", damaged),
            ("something before it", 422, "contradicting-headers", "not where", prefixed),
            (
                "something behind it",
                400,
                "not-an-archive",
                "does not reach",
                archive_with(&[RawEntry::file("a.txt", b"a")], 1, b"behind"),
            ),
            ("more entries claimed than there are", 413, "too-many-entries", "40000 entries", fields),
            (
                "fewer entries claimed than there are",
                422,
                "contradicting-headers",
                "contradicts itself",
                archive_with(&[RawEntry::file("a.txt", b"a"), RawEntry::file("b.txt", b"b")], 1, &[]),
            ),
        ],
    )
}

/// A manifest before an entry: what is refused is refused although the rest is in order.
fn with_manifest(entries: impl IntoIterator<Item = RawEntry>) -> Vec<u8> {
    let mut all = vec![RawEntry::file(NAPD, b"name: x\n")];
    all.extend(entries);
    archive(&all)
}

fn named(name: &str) -> Vec<u8> {
    with_manifest([RawEntry::file(name, b"content")])
}

fn bad_entries() -> Vec<Hostile> {
    let special = |mode| with_manifest([RawEntry::stored("x", b"/etc/passwd").mode(mode)]);
    let two = |first: &str, second: &str| {
        with_manifest([RawEntry::file(first, b"1"), RawEntry::file(second, b"2")])
    };
    let mut encrypted = RawEntry::stored("x", b"012345678901secret");
    encrypted.flags |= 1;
    let mut bzip2 = RawEntry::stored("x", b"content");
    bzip2.method = 12;
    let mut folder = RawEntry::stored("x/", b"content");
    folder.mode = 0o040_755;
    rows(
        Stage::Archive,
        vec![
            ("escaping name", 422, "unsafe-path", "holds `..`", named("../../etc/cron.d/x")),
            ("escaping behind a folder", 422, "unsafe-path", "holds `..`", named("a/../../x")),
            ("absolute name", 422, "unsafe-path", "is absolute", named("/etc/cron.d/x")),
            ("backslashes", 422, "unsafe-path", "holds a backslash", named("..\\..\\x")),
            ("drive letter", 422, "unsafe-path", "drive letter", named("C:/x")),
            ("zero byte in a name", 422, "unsafe-path", "control characters", named("x\0.yaml")),
            ("escape sequence in a name", 422, "unsafe-path", "control characters", named("\u{1b}[31mx")),
            ("deep folders", 413, "path-too-deep", "levels deep", named(&"d/".repeat(40))),
            ("duplicate names", 422, "duplicate-names", "each file once", two("x", "x")),
            ("names that collide when normalised", 422, "colliding-names", "collide", two("a/x", "a/./x")),
            ("names that differ in case", 422, "colliding-names", "collide", two("a/X", "a/x")),
            ("a file where a folder must be", 422, "colliding-names", "collide", two("a", "a/x")),
            ("symbolic link", 422, "special-entry", "symbolic link", special(0o120_777)),
            ("device", 422, "special-entry", "block device", special(0o060_644)),
            ("named pipe", 422, "special-entry", "named pipe", special(0o010_644)),
            ("folder with data", 422, "special-entry", "folder with data", with_manifest([folder])),
            ("encrypted", 422, "encrypted-entry", "without a password", with_manifest([encrypted])),
            ("unknown compression", 422, "unsupported-compression", "use deflate", with_manifest([bzip2])),
        ],
    )
}

/// Content of a bomb: 16 MiB of zeros, 16 kB deflated.
const BOMB: usize = 16 << 20;

fn bombs() -> Vec<Hostile> {
    let bomb = RawEntry::file("bomb", &vec![0; BOMB]);
    let kernel = RawEntry::file("kernel", &vec![0; 1 << 20]);
    let mut overlapping = vec![kernel.clone()];
    overlapping.extend((0..500).map(|index| {
        let mut entry = kernel.clone();
        entry.name = format!("quilt{index:03}").into_bytes();
        entry.shares = Some(0);
        entry
    }));
    // The second entry lies within the stored data of the first.
    let inner = RawEntry::stored("inner", b"inner");
    let outer = RawEntry::stored("outer", &inner.local());
    let mut nested = archive(&[outer, RawEntry { shares: Some(0), ..inner }]);
    point_into_data(&mut nested, 30 + "outer".len());
    let mut small = bomb.clone();
    small.size = 10;
    let mut large = RawEntry::file("large", b"ten bytes.");
    large.size = 1 << 30;
    let mut long = RawEntry::stored("long", b"ten bytes.");
    long.compressed = 1 << 20;
    long.size = 1 << 20;
    // Room between entries, filled with what looks like headers: slow to search.
    let mut gaps = RawEntry::stored("gap", b"");
    gaps.data = b"PK\x03\x04".repeat(5000);
    let gaps: Vec<_> =
        (0..200).map(|index| RawEntry { name: format!("{index}").into_bytes(), ..gaps.clone() }).collect();
    let many: Vec<_> = (0..20_000).map(|index| RawEntry::stored(&format!("{index}"), b"")).collect();
    rows(
        Stage::Archive,
        vec![
            ("bytes between entries", 422, "contradicting-headers", "belong to no entry", archive(&gaps)),
            ("bomb by ratio", 413, "ratio-too-high", "decompression bomb", archive(&[bomb])),
            ("bomb by overlap", 422, "overlapping-entries", "overlap", archive(&overlapping)),
            ("an entry within another", 422, "overlapping-entries", "overlap", nested),
            ("bomb by count", 413, "too-many-entries", "20000 entries", archive(&many)),
            ("a count beyond all bounds", 413, "too-many-entries", "entries", zip64_count(1 << 40)),
            ("size claimed too small", 400, "damaged-entry", "larger than its declared", archive(&[small])),
            (
                "size claimed too large",
                422,
                "contradicting-headers",
                "its header says 1073741824",
                archive(&[large]),
            ),
            ("data said to go beyond the archive", 422, "overlapping-entries", "overlap", archive(&[long])),
        ],
    )
}

/// Lets the directory's last entry begin at `offset`.
fn point_into_data(bytes: &mut [u8], offset: usize) {
    let at = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").expect("a directory") + 42;
    bytes[at..at + 4].copy_from_slice(&u32::try_from(offset).expect("a small archive").to_le_bytes());
}

/// An archive whose ZIP64 end record claims a number of entries.
fn zip64_count(entries: u64) -> Vec<u8> {
    let mut bytes = b"PK\x06\x06".to_vec();
    bytes.extend(44u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0]);
    bytes.extend([0; 8]);
    for field in [entries, entries, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(b"PK\x06\x07");
    bytes.extend([0; 4]);
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0; 4]);
    bytes.extend([0xff; 12]);
    bytes.extend([0; 2]);
    bytes
}
