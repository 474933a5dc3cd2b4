//! The broker: a process in the host's namespaces that binds sockets for the program, which is in others.
//!
//! It has the rights of the user who started the program and does nothing that this user could not do alone.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::process::Stdio;

use rustix::io::retry_on_intr;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    recv, sendmsg, socketpair,
};

use crate::error::{Context as _, EngineError};
use crate::helper::BROKER;
use crate::host_sockets::{Answer, Broker, HostSockets as _, LONGEST, OwnNamespace, Request};
use crate::program::{Helper, start_helper};

/// Starts the broker. Call it before the namespaces are taken.
pub(super) fn start(helper: &Helper) -> Result<Broker, EngineError> {
    let shown = Path::new("the broker");
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let (ours, theirs) =
        socketpair(family, kind, SocketFlags::CLOEXEC, None).context("make a socket for", shown)?;
    let child =
        start_helper(helper, &[OsStr::new(BROKER)], Stdio::from(theirs), Stdio::null(), Stdio::null())
            .context("start", &helper.program)?;
    Ok(Broker::new(ours, child))
}

/// The helper's part: answers until the program ends, however it does.
pub(crate) fn play(control: &File) -> Result<(), EngineError> {
    let program = Path::new("the program");
    // Ctrl-C is for the program, which may need sockets until it has tidied up.
    rustix::process::setsid().context("make a session for", Path::new("the broker"))?;
    let mut buffer = [0_u8; LONGEST];
    loop {
        let (length, _) = retry_on_intr(|| recv(control, &mut buffer[..], RecvFlags::empty()))
            .context("hear from", program)?;
        if length == 0 {
            return Ok(());
        }
        let (answer, bound) = match serve(buffer.get(..length).unwrap_or_default()) {
            Ok(bound) => (Answer::Bound, Some(bound)),
            Err(error) => (Answer::Refused(error.raw_os_error(), error.to_string()), None),
        };
        send(control, &answer, bound.as_ref()).context("answer", program)?;
    }
}

fn serve(request: &[u8]) -> io::Result<OwnedFd> {
    let request: Request = serde_json::from_slice(request)?;
    OwnNamespace.bind(request.protocol, request.address)
}

fn send(control: &File, answer: &Answer, bound: Option<&OwnedFd>) -> io::Result<()> {
    let text = serde_json::to_vec(answer)?;
    let sockets: Vec<_> = bound.iter().map(|it| it.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    retry_on_intr(|| sendmsg(control, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL))?;
    Ok(())
}
