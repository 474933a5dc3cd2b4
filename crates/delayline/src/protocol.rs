//! What is said over the socket of the helper: a length of 4 bytes (network order), then that many bytes of JSON, with
//! the descriptors of TAP devices beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Impairment;
use crate::lines::LineView;

/// Bytes of the longest message: a list of some ten thousand links.
const LONGEST: usize = 16 << 20;
/// The two devices of a link.
pub(crate) const DESCRIPTORS: usize = 2;

/// What the helper is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Put { name: String, impairments: [Impairment; 2] },
    Set { name: String, impairments: [Impairment; 2] },
    Remove { name: String },
    List,
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Done,
    Links(Vec<LineView>),
    Unknown(String),
    Failed(String),
}

/// Sends one message.
pub(crate) fn send<T: Serialize>(to: &UnixStream, message: &T, descriptors: &[OwnedFd]) -> io::Result<()> {
    let mut text = vec![0; 4];
    serde_json::to_writer(&mut text, message)?;
    let length = u32::try_from(text.len() - 4).map_err(io::Error::other)?;
    text[..4].copy_from_slice(&length.to_be_bytes());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    let borrowed: Vec<_> = descriptors.iter().map(|it| it.as_fd()).collect();
    if !borrowed.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::other("too many descriptors"));
    }
    let mut rest: &[u8] = &text;
    while !rest.is_empty() {
        let sent = sendmsg(to, &[IoSlice::new(rest)], &mut beside, SendFlags::NOSIGNAL);
        match sent {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        beside.clear();
    }
    Ok(())
}

/// Receives one message with its descriptors; `None` at the end.
pub(crate) fn receive<T: DeserializeOwned>(from: &UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut descriptors = Vec::new();
    let mut length = [0; 4];
    if !fill(from, &mut length, &mut descriptors)? {
        return Ok(None);
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long a message"));
    }
    let mut text = vec![0; length];
    if !fill(from, &mut text, &mut descriptors)? {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some((serde_json::from_slice(&text)?, descriptors)))
}

/// Fills a buffer; false when there was nothing more.
fn fill(from: &UnixStream, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let rest = buffer.get_mut(filled..).unwrap_or_default();
        let received = match recvmsg(from, &mut [IoSliceMut::new(rest)], &mut beside, RecvFlags::CMSG_CLOEXEC)
        {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                descriptors.extend(received);
            }
        }
        if received.bytes == 0 {
            return if filled == 0 { Ok(false) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
        filled += received.bytes;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn messages_of_any_size_arrive_with_their_descriptors() {
        let (here, there) = UnixStream::pair().unwrap();
        let text = "x".repeat(3 << 20);
        let (end, mut kept) = UnixStream::pair().unwrap();
        let sending = std::thread::spawn(move || {
            send(&here, &Request::Remove { name: "short".to_owned() }, &[]).unwrap();
            send(&here, &Request::Remove { name: text }, &[end.into()]).unwrap();
        });
        let (first, none) = receive::<Request>(&there).unwrap().unwrap();
        assert!(matches!(first, Request::Remove { name } if name == "short") && none.is_empty());
        let (second, mut ends) = receive::<Request>(&there).unwrap().unwrap();
        assert!(matches!(second, Request::Remove { name } if name.len() == 3 << 20));
        sending.join().unwrap();
        let mut end = UnixStream::from(ends.remove(0));
        end.write_all(b"!").unwrap();
        kept.read_exact(&mut [0]).unwrap();
        assert!(ends.is_empty() && receive::<Request>(&there).unwrap().is_none());
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_an_error() {
        for bytes in [&[0_u8, 0][..], &[0, 0, 0, 9, b'{'], &[0xff; 8], &[0, 0, 0, 1, b'{']] {
            let (mut here, there) = UnixStream::pair().unwrap();
            here.write_all(bytes).unwrap();
            drop(here);
            receive::<Request>(&there).unwrap_err();
        }
    }
}
