//! Netlink messages as bytes: a builder of requests and an iterator over attributes.
//!
//! Format: `nlmsghdr`, the family's fixed header, then attributes of `len:u16 kind:u16 value`, each padded
//! to 4 bytes (linux/netlink.h). Integers in the host's byte order unless a method says otherwise.

/// Length of `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 0x1;
/// `NLM_F_ACK`.
const ACK: u16 = 0x4;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x1 | 0x300;
/// `NLM_F_CREATE`.
pub const CREATE: u16 = 0x400;
/// `NLM_F_EXCL`.
pub const EXCL: u16 = 0x200;
/// `NLM_F_REPLACE`.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_APPEND`.
pub const APPEND: u16 = 0x800;
/// `NLA_F_NESTED`, in an attribute's kind: some of the kernel's parts insist on it.
pub const NESTED: u16 = 0x8000;
/// `NLA_F_NESTED | NLA_F_NET_BYTEORDER`: flags in an attribute's kind.
const KIND_FLAGS: u16 = 0xc000;

/// A request under construction.
#[derive(Debug, Clone)]
pub struct Request {
    bytes: Vec<u8>,
}

impl Request {
    /// A request that is acknowledged, of the given message type, with extra flags.
    pub fn new(kind: u16, flags: u16) -> Self {
        Self::with_flags(kind, REQUEST | ACK | flags)
    }

    /// A request that is answered only when it fails, for a batch.
    pub fn unacknowledged(kind: u16, flags: u16) -> Self {
        Self::with_flags(kind, REQUEST | flags)
    }

    /// Lets the kernel answer in any case.
    pub fn ask_for_acknowledgement(&mut self) {
        let flags = read_u16(&self.bytes, 6).unwrap_or(0) | ACK;
        self.bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    }

    /// A request for all objects of a kind.
    pub fn dump(kind: u16) -> Self {
        Self::with_flags(kind, REQUEST_DUMP)
    }

    fn with_flags(kind: u16, flags: u16) -> Self {
        let mut bytes = Vec::with_capacity(256);
        bytes.extend(0_u32.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        Self { bytes }
    }

    /// Appends raw bytes: the family's fixed header.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend(bytes);
        self
    }

    /// Appends `struct ifinfomsg` (linux/rtnetlink.h).
    pub fn ifinfo(&mut self, family: u8, index: u32, flags: u32, change: u32) -> &mut Self {
        self.raw(&[family, 0, 0, 0]);
        self.raw(&index.to_ne_bytes()).raw(&flags.to_ne_bytes()).raw(&change.to_ne_bytes())
    }

    /// Appends `struct tcmsg` (linux/rtnetlink.h).
    pub fn tc(&mut self, index: u32, handle: u32, parent: u32, info: u32) -> &mut Self {
        self.raw(&[0; 4]).raw(&index.to_ne_bytes()).raw(&handle.to_ne_bytes());
        self.raw(&parent.to_ne_bytes()).raw(&info.to_ne_bytes())
    }

    /// Appends an attribute of bytes.
    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.pad()
    }

    /// Appends an attribute of a zero-terminated text.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    /// Appends an attribute of one byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends an attribute of two bytes.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute of four bytes.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends an attribute of four bytes in network byte order.
    pub fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    /// Appends an attribute that holds what `fill` appends, marked as such.
    pub fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest(kind | NESTED, fill)
    }

    /// Appends an attribute that holds what `fill` appends.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        let length = u16::try_from(self.bytes.len() - start).unwrap_or(u16::MAX);
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self.pad()
    }

    fn pad(&mut self) -> &mut Self {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self
    }

    /// The finished message with its length and sequence number.
    pub fn finish(&mut self, sequence: u32) -> &[u8] {
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        &self.bytes
    }
}

/// Iterates over attributes; stops at what is malformed.
#[derive(Debug, Clone)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(read_u16(self.0, 0)?);
        let kind = read_u16(self.0, 2)? & !KIND_FLAGS;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

impl<'a> Attributes<'a> {
    /// The first attribute of a kind.
    pub fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.clone().find(|(found, _)| *found == kind).map(|(_, value)| value)
    }
}

/// Reads two bytes in the host's order.
pub fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

/// Reads four bytes in the host's order.
pub fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Reads eight bytes in the host's order.
pub fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// Reads a zero-terminated text.
pub fn read_text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_back() {
        let mut request = Request::new(16, CREATE);
        request.ifinfo(0, 7, 1, 1).text(3, "p1").nest(18, |nest| {
            nest.text(1, "veth").u8(2, 9);
        });
        let message = request.finish(5).to_vec();
        assert_eq!(read_u32(&message, 0).map(|length| length as usize), Some(message.len()));
        let attributes = Attributes(&message[HEADER + 16..]);
        assert_eq!(attributes.get(3).map(read_text).as_deref(), Some("p1"));
        let nested = Attributes(attributes.get(18).unwrap());
        assert_eq!(nested.get(2), Some(&[9][..]));
        assert_eq!(nested.count(), 2);
    }

    #[test]
    fn malformed_attributes_end_the_iteration() {
        for bytes in [&[][..], &[1], &[0, 0, 0, 0], &[200, 0, 1, 0, 5], &[3, 0, 1, 0]] {
            assert_eq!(Attributes(bytes).count(), 0, "{bytes:?}");
        }
    }
}
