//! The file format that tcpdump and Wireshark read: pcap with nanoseconds
//! (draft-ietf-opsawg-pcap, "PCAP Capture File Format").

use llcm_runtime::Direction;

/// Says that the fractions of time stamps are nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// The most bytes of a frame that a reader should expect.
const SNAP_LENGTH: u32 = 262_144;
/// Frames begin with an Ethernet header.
const ETHERNET: u32 = 1;

/// A frame that was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    /// Nanoseconds since the beginning of 1970.
    pub(super) at_ns: u64,
    pub(super) direction: Direction,
    /// How long it was.
    pub(super) length: u32,
    /// As much of it as was wanted.
    pub(super) bytes: Vec<u8>,
}

/// What a file begins with.
pub(super) fn header() -> Vec<u8> {
    let mut bytes = MAGIC.to_le_bytes().to_vec();
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(4_u16.to_le_bytes());
    for word in [0, 0, SNAP_LENGTH, ETHERNET] {
        bytes.extend(u32::to_le_bytes(word));
    }
    bytes
}

/// A frame in the file.
pub(super) fn record(frame: &Frame) -> Vec<u8> {
    let word = |number: u64| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
    let kept = u64::try_from(frame.bytes.len()).unwrap_or(u64::MAX);
    let mut bytes = Vec::with_capacity(16 + frame.bytes.len());
    bytes.extend(word(frame.at_ns / 1_000_000_000));
    bytes.extend(word(frame.at_ns % 1_000_000_000));
    bytes.extend(word(kept));
    bytes.extend(frame.length.to_le_bytes());
    bytes.extend(&frame.bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_as_the_format_says() {
        assert_eq!(
            header(),
            [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0]
        );
        let frame = Frame {
            at_ns: 1_700_000_000_000_000_007,
            direction: Direction::Sent,
            length: 300,
            bytes: vec![9, 8, 7],
        };
        let record = record(&frame);
        assert_eq!(record[..4], 1_700_000_000_u32.to_le_bytes());
        assert_eq!(record[4..], [7, 0, 0, 0, 3, 0, 0, 0, 44, 1, 0, 0, 9, 8, 7]);
    }
}
