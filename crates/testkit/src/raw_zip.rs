//! Archives byte by byte, for what no writer makes (PKWARE APPNOTE 6.3.10, sections 4.3.7 to 4.3.16).

use std::io::{Cursor, Read, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// An entry, every field of it free to lie.
#[derive(Debug, Clone)]
pub struct RawEntry {
    /// Its name's bytes.
    pub name: Vec<u8>,
    /// Its data as stored in the archive.
    pub data: Vec<u8>,
    /// 0: stored, 8: deflated.
    pub method: u16,
    /// Bit 0: encrypted; bit 11: the name is UTF-8.
    pub flags: u16,
    /// CRC-32 of the content.
    pub crc: u32,
    /// Compressed size as both headers say.
    pub compressed: u32,
    /// Size as both headers say.
    pub size: u32,
    /// Unix mode with its type bits, in the high half of the external attributes.
    pub mode: u32,
    /// The local header of another entry (by index) that the directory points to instead of this one's own.
    pub shares: Option<usize>,
}

impl RawEntry {
    /// A deflated file that tells the truth.
    #[must_use]
    pub fn file(name: &str, content: &[u8]) -> Self {
        Self::with_method(name, content, CompressionMethod::Deflated)
    }

    /// A stored file that tells the truth.
    #[must_use]
    pub fn stored(name: &str, content: &[u8]) -> Self {
        Self::with_method(name, content, CompressionMethod::Stored)
    }

    fn with_method(name: &str, content: &[u8], method: CompressionMethod) -> Self {
        let (data, crc) = compress(content, method);
        Self {
            name: name.as_bytes().to_vec(),
            method: if method == CompressionMethod::Stored { 0 } else { 8 },
            flags: 1 << 11,
            crc,
            compressed: number(data.len()),
            size: number(content.len()),
            mode: 0o100_644,
            data,
            shares: None,
        }
    }

    /// With another Unix mode.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// The fields that stand alike in both headers, from `version needed` to `uncompressed size`.
    fn common(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Version 2.0, flags, method, time and date (1980-01-01).
        for field in [20, self.flags, self.method, 0, 0x21] {
            bytes.extend(field.to_le_bytes());
        }
        for field in [self.crc, self.compressed, self.size] {
            bytes.extend(field.to_le_bytes());
        }
        bytes
    }

    /// Local header and data.
    #[must_use]
    pub fn local(&self) -> Vec<u8> {
        let mut bytes = b"PK\x03\x04".to_vec();
        bytes.extend(self.common());
        bytes.extend(short(self.name.len()).to_le_bytes());
        bytes.extend(0u16.to_le_bytes());
        bytes.extend(&self.name);
        bytes.extend(&self.data);
        bytes
    }

    fn central(&self, offset: u32) -> Vec<u8> {
        let mut bytes = b"PK\x01\x02".to_vec();
        // Made by version 2.0 on Unix.
        bytes.extend(0x0314u16.to_le_bytes());
        bytes.extend(self.common());
        bytes.extend(short(self.name.len()).to_le_bytes());
        // Extra field, comment, disk, internal attributes.
        bytes.extend([0; 8]);
        bytes.extend((self.mode << 16).to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        bytes.extend(&self.name);
        bytes
    }
}

/// An archive of entries.
#[must_use]
pub fn archive(entries: &[RawEntry]) -> Vec<u8> {
    archive_with(entries, short(entries.len()), &[])
}

/// An archive whose end record claims another number of entries and is followed by more bytes.
#[must_use]
pub fn archive_with(entries: &[RawEntry], claimed: u16, behind: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut offsets = Vec::new();
    for entry in entries {
        offsets.push(number(bytes.len()));
        if entry.shares.is_none() {
            bytes.extend(entry.local());
        }
    }
    let start = number(bytes.len());
    for (index, entry) in entries.iter().enumerate() {
        bytes.extend(entry.central(offsets[entry.shares.unwrap_or(index)]));
    }
    let size = number(bytes.len()) - start;
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0; 4]);
    for field in [claimed, claimed] {
        bytes.extend(field.to_le_bytes());
    }
    for field in [size, start] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend([0; 2]);
    bytes.extend(behind);
    bytes
}

/// The data of an entry as a real writer stores it, and its CRC-32.
fn compress(content: &[u8], method: CompressionMethod) -> (Vec<u8>, u32) {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file("x", SimpleFileOptions::default().compression_method(method)).expect("a new entry");
    writer.write_all(content).expect("memory takes all bytes");
    let mut archive =
        ZipArchive::new(writer.finish().expect("memory takes all bytes")).expect("just written");
    let mut entry = archive.by_index_raw(0).expect("one entry");
    let mut data = Vec::new();
    entry.read_to_end(&mut data).expect("memory gives all bytes");
    (data, entry.crc32())
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a small archive")
}

fn short(length: usize) -> u16 {
    u16::try_from(length).expect("a short list")
}
