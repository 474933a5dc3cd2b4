//! Echo requests and replies as bytes.
//!
//! Source: RFC 792 (echo), RFC 1071 (checksum), RFC 791 (what a raw socket gives in front of a reply).

/// Bytes before the payload.
pub(super) const HEADER: usize = 8;
const ECHO_REPLY: u8 = 0;
const ECHO_REQUEST: u8 = 8;

/// A request with `payload` bytes to be sent back.
pub(super) fn request(identifier: u16, sequence: u16, payload: usize) -> Vec<u8> {
    let mut packet = vec![ECHO_REQUEST, 0, 0, 0];
    packet.extend(identifier.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend((0_u8..=u8::MAX).cycle().take(payload));
    let sum = checksum(&packet).to_be_bytes();
    packet.splice(2..4, sum);
    packet
}

/// What a reply says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) identifier: u16,
    pub(super) sequence: u16,
    pub(super) ttl: u8,
    /// Bytes after the IP header.
    pub(super) length: usize,
}

impl Reply {
    /// Reads an IPv4 packet; `None` when it is no echo reply.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let ttl = *packet.get(8)?;
        // In words of 4 bytes.
        let header = usize::from(*packet.first()? & 0x0f) * 4;
        let message = packet.get(header..)?;
        let half = |at: usize| message.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
        if *message.first()? != ECHO_REPLY || checksum(message) != 0 {
            return None;
        }
        Some(Self { identifier: half(4)?, sequence: half(6)?, ttl, length: message.len() })
    }
}

/// The complement of the sum of all halves, in the complement's arithmetic; 0 over a packet with a right sum.
fn checksum(bytes: &[u8]) -> u16 {
    let add = |sum: u16, half: u16| {
        let (sum, carry) = sum.overflowing_add(half);
        sum + u16::from(carry)
    };
    let halves = bytes.chunks(2).map(|it| match it {
        [high, low] => u16::from_be_bytes([*high, *low]),
        [high, ..] => u16::from_be_bytes([*high, 0]),
        [] => 0,
    });
    !halves.fold(0, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An IPv4 packet with a reply to a request, as a raw socket gives it.
    fn reply(options: usize) -> Vec<u8> {
        let mut packet = vec![0; 20 + 4 * options];
        packet[0] = 0x45 + u8::try_from(options).unwrap();
        packet[8] = 64;
        let mut message = request(0x1234, 7, 56);
        message[0] = ECHO_REPLY;
        message.splice(2..4, [0, 0]);
        let sum = checksum(&message).to_be_bytes();
        message.splice(2..4, sum);
        packet.extend(message);
        packet
    }

    #[test]
    fn sums_are_those_of_the_rfc() {
        // RFC 1071, section 3: the example's sum is ddf2.
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(checksum(&[0xff]), !0xff00);
        let request = request(0x1234, 7, 56);
        assert_eq!((request.len(), checksum(&request)), (64, 0));
        assert_eq!(request[..2], [8, 0]);
        assert_eq!(request[4..8], [0x12, 0x34, 0, 7]);
    }

    #[test]
    fn a_reply_is_found_behind_any_header() {
        let expected = Reply { identifier: 0x1234, sequence: 7, ttl: 64, length: 64 };
        for options in [0, 3] {
            assert_eq!(Reply::parse(&reply(options)).as_ref(), Some(&expected));
        }
    }

    #[test]
    fn what_is_no_reply_is_not_taken_for_one() {
        let whole = reply(0);
        for length in 0..whole.len() {
            assert_eq!(Reply::parse(&whole[..length]), None, "{length}");
        }
        let mut other = whole.clone();
        other[20] = ECHO_REQUEST;
        assert_eq!(Reply::parse(&other), None);
        let mut damaged = whole;
        damaged[40] ^= 1;
        assert_eq!(Reply::parse(&damaged), None);
    }
}
