//! The addresses of all interfaces, by netlink: the kernel has no file that tells which interface has which.
//!
//! Source: rtnetlink(7), netlink(7).

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
/// Length of `struct nlmsghdr`, `struct ifaddrmsg` and `struct rtattr`.
const HEADER: usize = 16;
const IFADDR: usize = 8;
const ATTRIBUTE: usize = 4;

/// Addresses with prefix lengths, by the interface's index.
pub(super) fn by_interface() -> io::Result<BTreeMap<u32, Vec<String>>> {
    let socket =
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let mut request = Vec::new();
    request.extend(24_u32.to_ne_bytes());
    request.extend(RTM_GETADDR.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend([0; 8 + IFADDR]);
    rustix::net::sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut found = BTreeMap::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let (length, _) = rustix::net::recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        if take(buffer.get(..length).unwrap_or_default(), &mut found)? {
            return Ok(found);
        }
    }
}

/// Takes the messages of one datagram in; whether the last one was among them.
fn take(mut datagram: &[u8], found: &mut BTreeMap<u32, Vec<String>>) -> io::Result<bool> {
    while !datagram.is_empty() {
        let length = number(datagram, 0).and_then(|it| usize::try_from(it).ok()).unwrap_or(0);
        let message = datagram.get(..length).filter(|it| it.len() >= HEADER);
        let message = message.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        match half(message, 4) {
            Some(NLMSG_DONE) => return Ok(true),
            Some(NLMSG_ERROR) => {
                let code = number(message, HEADER).unwrap_or(0).cast_signed();
                return Err(io::Error::from_raw_os_error(-code));
            }
            Some(RTM_NEWADDR) => {
                if let Some((index, address)) = message.get(HEADER..).and_then(address) {
                    found.entry(index).or_default().push(address);
                }
            }
            _ => {}
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(false)
}

/// Interface and address of a message. Of a link with two ends, the local one is meant.
fn address(payload: &[u8]) -> Option<(u32, String)> {
    let (prefix, index) = (payload.get(1)?, number(payload, 4)?);
    let mut attributes = payload.get(IFADDR..)?;
    let mut chosen = None;
    while let (Some(length), Some(kind)) = (half(attributes, 0), half(attributes, 2)) {
        let value = attributes.get(ATTRIBUTE..usize::from(length))?;
        if kind == IFA_LOCAL || (kind == IFA_ADDRESS && chosen.is_none()) {
            chosen = Some(value);
        }
        attributes = attributes.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    let value = chosen?;
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    let address = v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).ok()?;
    Some((index, format!("{address}/{prefix}")))
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_it_has() {
        let index: u32 =
            std::fs::read_to_string("/sys/class/net/lo/ifindex").unwrap().trim().parse().unwrap();
        let found = by_interface().unwrap();
        // Where it is not up, it has no address; then nothing else may be told of it.
        let up = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
        let told = found.get(&index).is_some_and(|all| all.contains(&"127.0.0.1/8".to_owned()));
        assert!(told || !up, "{found:?}");
    }

    #[test]
    fn what_is_cut_off_is_not_read() {
        let mut found = BTreeMap::new();
        let mut message = Vec::new();
        message.extend(40_u32.to_ne_bytes());
        message.extend(RTM_NEWADDR.to_ne_bytes());
        message.extend([0; 10]);
        message.extend([2, 24, 0, 0, 7, 0, 0, 0]);
        for (kind, last) in [(IFA_ADDRESS, 2), (IFA_LOCAL, 1)] {
            message.extend(8_u16.to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend([20, 0, 1, last]);
        }
        assert!(!take(&message, &mut found).unwrap());
        assert_eq!(
            found,
            BTreeMap::from([(u32::from_ne_bytes([7, 0, 0, 0]), vec!["20.0.1.1/24".to_owned()])])
        );
        for length in 1..message.len() {
            assert!(take(&message[..length], &mut BTreeMap::new()).is_err(), "{length}");
        }
        // A length of nothing would never end.
        assert!(take(&[0; 32], &mut found).is_err());
        let mut done = message.clone();
        done.extend(16_u32.to_ne_bytes());
        done.extend(NLMSG_DONE.to_ne_bytes());
        done.extend([0; 10]);
        assert!(take(&done, &mut found).unwrap());
    }
}
