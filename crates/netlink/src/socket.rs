//! One netlink socket: a request and its answer, within a deadline.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use netlink_sys::{
    Socket as RawSocket, SocketAddr,
    protocols::{NETLINK_NETFILTER, NETLINK_ROUTE},
};
use rustix::net::sockopt::{Timeout, set_socket_send_buffer_size_force, set_socket_timeout};

use crate::wire::{Attributes, HEADER, Request, read_text, read_u16, read_u32};

/// How long the kernel's answer may take to arrive once a request was executed.
const ANSWER: Duration = Duration::from_secs(20);
/// How often a listing is repeated that changed while it was read.
const DUMP_RETRIES: usize = 8;

/// Bytes of the largest batch.
const BATCH: usize = 4 << 20;

/// Requests that go with one call: their acknowledgements fit the socket's buffer, and the kernel's network lock is
/// taken for each of them anew.
const AT_ONCE: usize = 128;

/// The kernel never sends more in one piece (`netlink_dump` in net/netlink/af_netlink.c).
const BUFFER: usize = 32 * 1024;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// What the kernel, or the way to it, answered.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel refused a request.
    #[error("{source}{}", if text.is_empty() { String::new() } else { format!(" ({text})") })]
    Refused {
        /// The error number.
        source: io::Error,
        /// The kernel's own words, where it has some.
        text: String,
    },
    /// The socket failed, or nothing came in time.
    #[error("netlink socket: {0}")]
    Socket(io::Error),
}

impl NetlinkError {
    /// The error number, if there is one.
    pub fn errno(&self) -> Option<rustix::io::Errno> {
        let (Self::Refused { source, .. } | Self::Socket(source)) = self;
        source.raw_os_error().map(rustix::io::Errno::from_raw_os_error)
    }

    /// Whether the kernel says that the object is not there.
    pub fn is_absent(&self) -> bool {
        use rustix::io::Errno;
        matches!(self.errno(), Some(Errno::NODEV | Errno::NOENT | Errno::SRCH | Errno::ADDRNOTAVAIL))
    }

    /// Whether the kernel has nothing of the kind at all, or not for this program.
    pub fn is_out_of_reach(&self) -> bool {
        use rustix::io::Errno;
        let denied = matches!(self.errno(), Some(Errno::PERM | Errno::ACCESS));
        // Of a part of netlink that is not there `EINVAL` is said.
        let unknown = [Errno::OPNOTSUPP, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT, Errno::INVAL];
        denied || self.errno().is_some_and(|errno| unknown.contains(&errno))
    }

    /// Whether the kernel says that the object is there already.
    pub fn is_present(&self) -> bool {
        self.errno() == Some(rustix::io::Errno::EXIST)
    }
}

impl From<NetlinkError> for io::Error {
    /// With the error number where there is one, and without the kernel's words then.
    fn from(error: NetlinkError) -> Self {
        let (NetlinkError::Refused { source, .. } | NetlinkError::Socket(source)) = error;
        source
    }
}

/// A socket bound to the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    raw: RawSocket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        Self::open_protocol(NETLINK_ROUTE)
    }

    /// Opens a socket for the packet filter ([`crate::nf_tables`]) in the calling thread's network namespace.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` where the kernel has no packet filter.
    pub fn open_netfilter() -> Result<Self, NetlinkError> {
        let socket = Self::open_protocol(NETLINK_NETFILTER)?;
        // A batch is one message, and the usual limit is 200 kB. Without the privilege for more the usual one stays.
        let _ = set_socket_send_buffer_size_force(socket.raw.as_fd(), BATCH);
        Ok(socket)
    }

    fn open_protocol(protocol: isize) -> Result<Self, NetlinkError> {
        let open = || -> io::Result<RawSocket> {
            let mut raw = RawSocket::new(protocol)?;
            raw.bind_auto()?;
            raw.connect(&SocketAddr::new(0, 0))?;
            raw.set_ext_ack(true)?;
            raw.set_cap_ack(true)?;
            set_socket_timeout(raw.as_fd(), Timeout::Recv, Some(ANSWER))?;
            Ok(raw)
        };
        Ok(Self { raw: open().map_err(NetlinkError::Socket)?, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Sends a request and waits for its acknowledgement.
    pub fn call(&mut self, request: &mut Request) -> Result<(), NetlinkError> {
        self.send(request)?;
        self.receive(self.sequence, &mut |_, _| {}).map(|_| ())
    }

    /// Sends a request that is answered by one message and the acknowledgement.
    pub fn get(&mut self, request: &mut Request) -> Result<Vec<u8>, NetlinkError> {
        let mut found = Vec::new();
        self.send(request)?;
        self.receive(self.sequence, &mut |_, payload| found = payload.to_vec())?;
        Ok(found)
    }

    /// Asks for all objects of a kind: message type and what follows the message's header.
    pub fn dump(&mut self, request: &mut Request) -> Result<Vec<(u16, Vec<u8>)>, NetlinkError> {
        let mut retries = DUMP_RETRIES;
        loop {
            let mut found = Vec::new();
            self.send(request)?;
            let whole =
                self.receive(self.sequence, &mut |kind, payload| found.push((kind, payload.to_vec())))?;
            if whole || retries == 0 {
                return Ok(found);
            }
            retries -= 1;
        }
    }

    /// Sends requests in one message, to be carried out together. The one before the last, which ends the batch, must
    /// ask for an acknowledgement.
    pub fn batch(&mut self, requests: &mut [Request]) -> Result<(), NetlinkError> {
        let first = self.sequence.wrapping_add(1);
        let mut message = Vec::new();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            message.extend(request.finish(self.sequence));
        }
        uninterrupted(|| self.raw.send(&message, 0)).map_err(NetlinkError::Socket)?;
        self.receive(first, &mut |_, _| {}).map(|_| ())
    }

    /// Carries out requests one after the other, many with one call of the kernel; each must ask for an acknowledgement.
    /// What `tolerated` says of a refusal decides whether it counts. All are carried out, whatever becomes of those
    /// before them.
    ///
    /// # Errors
    /// The first refusal that counts.
    pub fn call_all(
        &mut self,
        requests: &mut [Request],
        tolerated: impl Fn(&NetlinkError) -> bool,
    ) -> Result<(), NetlinkError> {
        let mut result = Ok(());
        for chunk in requests.chunks_mut(AT_ONCE) {
            let first = self.sequence.wrapping_add(1);
            let mut message = Vec::new();
            for request in chunk.iter_mut() {
                self.sequence = self.sequence.wrapping_add(1);
                message.extend(request.finish(self.sequence));
            }
            uninterrupted(|| self.raw.send(&message, 0)).map_err(NetlinkError::Socket)?;
            let mut outstanding = chunk.len();
            while outstanding > 0 {
                self.answers(first, &mut |answer| {
                    outstanding = outstanding.saturating_sub(1);
                    match answer {
                        Err(error) if result.is_ok() && !tolerated(&error) => result = Err(error),
                        _ => {}
                    }
                })?;
            }
        }
        result
    }

    /// Reads one piece of what the kernel sent, and tells each acknowledgement of a request since `first`.
    fn answers(
        &mut self,
        first: u32,
        sink: &mut dyn FnMut(Result<(), NetlinkError>),
    ) -> Result<(), NetlinkError> {
        let buffer = &mut self.buffer;
        let length =
            uninterrupted(|| self.raw.recv(&mut &mut buffer[..], 0)).map_err(NetlinkError::Socket)?;
        let mut rest = self.buffer.get(..length).unwrap_or_default();
        while let Some(size) = read_u32(rest, 0).and_then(|size| usize::try_from(size).ok()) {
            let Some(message) = rest.get(..size).filter(|message| message.len() >= HEADER) else { break };
            rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
            let age = read_u32(message, 8).map(|answered| self.sequence.wrapping_sub(answered));
            let ours = age.is_some_and(|age| age <= self.sequence.wrapping_sub(first));
            if ours && read_u16(message, 4) == Some(NLMSG_ERROR) {
                sink(acknowledgement(message, read_u16(message, 6).unwrap_or(0)));
            }
        }
        Ok(())
    }

    fn send(&mut self, request: &mut Request) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let message = request.finish(self.sequence);
        uninterrupted(|| self.raw.send(message, 0)).map(|_| ()).map_err(NetlinkError::Socket)
    }

    /// Reads until the acknowledgement or the end of a listing, of any request since `first`. Returns whether the
    /// listing is consistent.
    fn receive(&mut self, first: u32, sink: &mut dyn FnMut(u16, &[u8])) -> Result<bool, NetlinkError> {
        let mut whole = true;
        loop {
            let buffer = &mut self.buffer;
            let length =
                uninterrupted(|| self.raw.recv(&mut &mut buffer[..], 0)).map_err(NetlinkError::Socket)?;
            let mut rest = self.buffer.get(..length).unwrap_or_default();
            while let Some(size) = read_u32(rest, 0).and_then(|size| usize::try_from(size).ok()) {
                let Some(message) = rest.get(..size).filter(|message| message.len() >= HEADER) else { break };
                rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
                let kind = read_u16(message, 4).unwrap_or(0);
                let flags = read_u16(message, 6).unwrap_or(0);
                // How many requests ago: an answer to an earlier one, which failed, may still be there.
                let age = read_u32(message, 8).map(|answered| self.sequence.wrapping_sub(answered));
                if age.is_none_or(|age| age > self.sequence.wrapping_sub(first)) {
                    continue;
                }
                whole &= flags & NLM_F_DUMP_INTR == 0;
                match kind {
                    NLMSG_ERROR => return acknowledgement(message, flags).map(|()| whole),
                    NLMSG_DONE => return Ok(whole),
                    _ => sink(kind, &message[HEADER..]),
                }
            }
        }
    }
}

/// Repeats a call that a signal cut off: the kernel does not repeat those of sockets with a deadline.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn acknowledgement(message: &[u8], flags: u16) -> Result<(), NetlinkError> {
    let code = message.get(HEADER..HEADER + 4).and_then(|b| b.try_into().ok()).map_or(0, i32::from_ne_bytes);
    if code == 0 {
        return Ok(());
    }
    // The error number, the header of the failed request, its body unless capped, then attributes.
    let text = (flags & NLM_F_ACK_TLVS != 0)
        .then(|| {
            let body = if flags & NLM_F_CAPPED != 0 {
                HEADER
            } else {
                usize::try_from(read_u32(message, HEADER + 4)?).ok()?.next_multiple_of(4)
            };
            Attributes(message.get(HEADER + 4 + body..)?).get(NLMSGERR_ATTR_MSG).map(read_text)
        })
        .flatten()
        .unwrap_or_default();
    Err(NetlinkError::Refused { source: io::Error::from_raw_os_error(-code), text })
}
