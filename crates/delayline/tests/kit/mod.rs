//! Two hosts with a TAP device each.

use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use llcm_delayline::{Impairment, Offload, Tap};
use llcm_netlink::{Socket, address, link, netns};

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Two namespaces, each with a device of a link between them: 10.0.0.1 and 10.0.0.2.
pub(crate) struct Ends {
    pub(crate) namespaces: [File; 2],
    taps: Option<[OwnedFd; 2]>,
}

pub(crate) fn ends() -> Option<Ends> {
    let end = |number: u8| -> Result<(File, OwnedFd), String> {
        let own = || File::open("/proc/thread-self/ns/net").unwrap();
        let namespace = netns::throw_away(own).map_err(|error| error.to_string())?;
        // A descriptor keeps the namespace that its device was made in.
        let make = || {
            let tap = Tap::create("end").map_err(|error| error.to_string())?;
            tap.set_offload(Offload::Tunnels).unwrap();
            let mut socket = Socket::open().unwrap();
            let device = link::find(&mut socket, "end").unwrap().unwrap().device();
            let netns = Some(namespace.as_fd());
            link::change(&mut socket, device, &link::Change { netns, ..Default::default() }).unwrap();
            Ok::<_, String>(tap.into())
        };
        let tap = netns::throw_away(make).map_err(|error| error.to_string())??;
        let set_up = || {
            // What IPv6 says of itself would be counted with what tests send.
            std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
            let mut socket = Socket::open().unwrap();
            let device = link::find(&mut socket, "end").unwrap().unwrap().device();
            address::add(&mut socket, device, format!("10.0.0.{number}/24").parse().unwrap()).unwrap();
            link::change(&mut socket, device, &link::Change { up: Some(true), ..Default::default() })
                .unwrap();
        };
        netns::visit(namespace.as_fd(), set_up).unwrap();
        Ok((namespace, tap))
    };
    match (end(1), end(2)) {
        (Ok((a, one)), Ok((b, two))) => Some(Ends { namespaces: [a, b], taps: Some([one, two]) }),
        (Err(why), _) | (_, Err(why)) => {
            assert!(std::env::var_os("LLCM_REQUIRE_SYSTEM_TESTS").is_none(), "{why}");
            eprintln!("skipped, no TAP devices: {why}");
            None
        }
    }
}

impl Ends {
    pub(crate) fn taps(&mut self) -> [OwnedFd; 2] {
        self.taps.take().unwrap()
    }

    fn socket(&self, end: usize) -> UdpSocket {
        let address = SocketAddr::from(([10, 0, 0, if end == 0 { 1 } else { 2 }], 7));
        let socket =
            netns::visit(self.namespaces[end].as_fd(), || UdpSocket::bind(address)).unwrap().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        socket.connect(SocketAddr::from(([10, 0, 0, if end == 0 { 2 } else { 1 }], 7))).unwrap();
        socket
    }

    /// Two connected sockets, whose hosts have found each other.
    pub(crate) fn sockets(&self) -> [UdpSocket; 2] {
        let sockets = [self.socket(0), self.socket(1)];
        for [from, to] in [[0, 1], [1, 0]] {
            sockets[from].send(b"first").unwrap();
            assert_eq!(receive(&sockets[to]).unwrap(), b"first");
        }
        sockets
    }
}

pub(crate) fn receive(socket: &UdpSocket) -> std::io::Result<Vec<u8>> {
    let mut buffer = [0; 2000];
    let count = socket.recv(&mut buffer)?;
    Ok(buffer[..count].to_vec())
}

/// How long a datagram takes from one end to the other.
pub(crate) fn one_way(from: &UdpSocket, to: &UdpSocket) -> Duration {
    let began = Instant::now();
    from.send(b"x").unwrap();
    receive(to).unwrap();
    began.elapsed()
}

pub(crate) fn delayed(delay: Duration) -> Impairment {
    Impairment { delay, ..Impairment::default() }
}
