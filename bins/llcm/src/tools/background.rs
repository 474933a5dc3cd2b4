//! Servers that go on when the command that started them has ended, as start scripts need them.

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use anyhow::Context as _;

/// The first argument of the process in the background. Its standard input is the listening socket.
pub(super) const LISTENING: &str = "--listening";

/// Listens, and leaves the rest to a process in the background. On return connections are accepted, by the kernel
/// at first. The process's number is in `/run/TOOL-PORT.pid`.
pub(super) fn start(tool: &str, port: u16, arguments: &[&str]) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))
        .with_context(|| format!("cannot listen on {port}"))?;
    let pid_file = format!("/run/{tool}-{port}.pid");
    let mut child = Command::new("/proc/self/exe")
        .arg0(tool)
        .arg(LISTENING)
        .args(arguments)
        .stdin(OwnedFd::from(listener))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start a process")?;
    let written = std::fs::write(&pid_file, format!("{}\n", child.id()));
    if written.is_err() {
        // Nobody could stop it.
        child.kill().and_then(|()| child.wait()).context("cannot end the process")?;
    }
    written.with_context(|| format!("cannot write {pid_file}"))
}

/// In the process in the background: its socket.
pub(super) fn listener() -> anyhow::Result<TcpListener> {
    // The terminal and the signals of who started it are no longer its own.
    rustix::process::setsid().context("cannot make a session")?;
    let socket = rustix::stdio::stdin().as_fd().try_clone_to_owned().context("cannot take the socket")?;
    Ok(TcpListener::from(socket))
}

/// Serves each connection on a thread of its own, for ever.
pub(super) fn serve(
    listener: &TcpListener,
    connection: impl Fn(std::net::TcpStream) + Clone + Send + 'static,
) -> ! {
    loop {
        let accepted = listener.accept().and_then(|(stream, _)| {
            let connection = connection.clone();
            std::thread::Builder::new().spawn(move || connection(stream))
        });
        if accepted.is_err() {
            // The container's limits are reached, or the client has gone; what is going on may end meanwhile.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}
