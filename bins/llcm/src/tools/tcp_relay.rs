//! `tcp-relay PORT HOST:PORT`: hands every connection on, byte by byte, in both directions.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use super::{WrongUsage, background, port};

pub(super) const NAME: &str = "tcp-relay";
pub(super) const USAGE: &str = "tcp-relay PORT HOST:PORT";

/// How long the other side may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    match arguments {
        [background::LISTENING, target] => {
            let target = resolve(target)?;
            background::serve(&background::listener()?, move |stream| {
                // Either side may break a connection; the other one sees it end.
                let _ = relay(&stream, target);
            })
        }
        [number, target] if !number.starts_with('-') => {
            let number = port(number)?;
            background::start(NAME, number, &[&resolve(target)?.to_string()])?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err(WrongUsage.into()),
    }
}

fn resolve(target: &str) -> anyhow::Result<SocketAddr> {
    let mut addresses = target.to_socket_addrs().with_context(|| format!("cannot look up `{target}`"))?;
    addresses.next().with_context(|| format!("`{target}` has no address"))
}

fn relay(near: &TcpStream, target: SocketAddr) -> io::Result<()> {
    let far = TcpStream::connect_timeout(&target, PATIENCE)?;
    std::thread::scope(|scope| {
        let back = std::thread::Builder::new().spawn_scoped(scope, || pump(&far, near));
        if back.is_ok() {
            pump(near, &far);
        }
        back.map(|_| ())
    })
}

/// Copies until one side has said all, which the other one is told: it may still have something to answer.
fn pump(mut from: &TcpStream, mut to: &TcpStream) {
    let how = if io::copy(&mut from, &mut to).is_ok() { Shutdown::Write } else { Shutdown::Both };
    // Fails when the connection is gone, and then there is nothing to tell.
    let _ = to.shutdown(how);
    if how == Shutdown::Both {
        let _ = from.shutdown(how);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    fn relayed_to(target: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            background::serve(&listener, move |stream| drop(relay(&stream, target)));
        });
        address
    }

    #[test]
    fn a_side_that_has_said_all_still_hears_the_answer() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = relayed_to(server.local_addr().unwrap());
        let mut client = TcpStream::connect(address).unwrap();
        let (mut served, _) = server.accept().unwrap();
        served.set_read_timeout(Some(PATIENCE)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"question").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut heard = String::new();
        served.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "question");
        served.write_all(&vec![b'x'; 1 << 20]).unwrap();
        drop(served);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer.len(), 1 << 20);
    }

    #[test]
    fn a_connection_ends_where_nobody_listens() {
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut client = TcpStream::connect(relayed_to(nobody)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
    }
}
