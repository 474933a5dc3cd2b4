//! Where the proxy's sockets come from, and how many it has.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use llcm_engine::{Engine, HostSockets, Options, OwnNamespace, Protocol, Publish, PublishVia, Spec};
use llcm_netlink::netns;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::containers::wait_until;
use crate::kit::Fixture;
use crate::outsider::Outside;
use crate::publish::{at, local, serve, tcp, tcp_peer, udp, udp_peer};
use crate::server::server;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("publish_sockets_of_another_namespace", sockets_of_another_namespace),
    ("publish_sockets_that_somebody_has_for_a_moment", sockets_that_somebody_has_for_a_moment),
    ("publish_proxy_bounded_connections", bounded_connections),
    ("publish_proxy_bounded_udp_clients", bounded_udp_clients),
];

/// Stands for the process that a program without privileges asks: it lives where the clients are.
#[derive(Debug)]
struct Elsewhere {
    namespace: std::fs::File,
    asked: Mutex<Vec<(Protocol, SocketAddr)>>,
    /// An IPv6 socket takes IPv6 alone.
    strict: bool,
}

impl HostSockets for Elsewhere {
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd> {
        self.asked.lock().unwrap().push((protocol, address));
        netns::visit(self.namespace.as_fd(), || {
            if !self.strict || address.is_ipv4() {
                return OwnNamespace.bind(protocol, address);
            }
            let kind = if protocol == Protocol::Tcp {
                rustix::net::SocketType::STREAM
            } else {
                rustix::net::SocketType::DGRAM
            };
            let socket = rustix::net::socket(rustix::net::AddressFamily::INET6, kind, None)?;
            rustix::net::sockopt::set_socket_reuseaddr(&socket, protocol == Protocol::Tcp)?;
            rustix::net::sockopt::set_ipv6_v6only(&socket, true)?;
            rustix::net::bind(&socket, &address)?;
            Ok(socket)
        })?
    }
}

fn sockets_of_another_namespace() {
    let outside = Outside::new();
    for strict in [false, true] {
        let mut it = Fixture::publishing(PublishVia::Proxy);
        it.close();
        let namespace = outside.namespace();
        let sockets = Arc::new(Elsewhere { namespace, asked: Mutex::default(), strict });
        let engine =
            Engine::open(Options { host_sockets: Arc::<Elsewhere>::clone(&sockets), ..it.options() })
                .unwrap();
        let named = Publish { host_ip: Some(Ipv4Addr::new(127, 0, 0, 3).into()), ..tcp(8081) };
        let publish = vec![tcp(8080), udp(8080), named];
        engine.create(Spec { publish, ..server("a", "0.0.0.0:80") }).unwrap();
        engine.start("a").unwrap();
        wait_until("it is served there", || outside.visit(|| tcp_peer(local(8080))).is_ok());
        outside.visit(|| udp_peer(local(8080))).unwrap();
        outside.visit(|| tcp_peer("[::1]:8080".parse().unwrap())).unwrap();
        outside.visit(|| udp_peer("[::1]:8080".parse().unwrap())).unwrap();
        outside.visit(|| tcp_peer(at(Ipv4Addr::new(127, 0, 0, 3), 8081))).unwrap();
        tcp_peer(local(8080)).unwrap_err();
        let asked = sockets.asked.lock().unwrap().clone();
        let sixth = |protocol| (protocol, "[::]:8080".parse().unwrap());
        assert!([Protocol::Tcp, Protocol::Udp].map(sixth).iter().all(|it| asked.contains(it)), "{asked:?}");
        assert_eq!(asked.contains(&(Protocol::Tcp, "0.0.0.0:8080".parse().unwrap())), strict);
        engine.remove("a").unwrap();
        outside.visit(|| tcp_peer(local(8080))).unwrap_err();
    }
}

/// Has copies of the sockets, as a program has that another thread is just starting.
#[derive(Debug, Default)]
struct Copied(Mutex<Vec<(Protocol, OwnedFd)>>);

impl HostSockets for Copied {
    fn bind(&self, protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd> {
        let socket = OwnNamespace.bind(protocol, address)?;
        self.0.lock().unwrap().push((protocol, socket.try_clone()?));
        Ok(socket)
    }
}

fn sockets_that_somebody_has_for_a_moment() {
    let mut it = Fixture::publishing(PublishVia::Proxy);
    it.close();
    let sockets = Arc::new(Copied::default());
    let engine =
        Engine::open(Options { host_sockets: Arc::<Copied>::clone(&sockets), ..it.options() }).unwrap();
    let publish = vec![tcp(8080), udp(8080)];
    engine.create(Spec { publish, ..server("a", "0.0.0.0:80") }).unwrap();
    for _ in 0..2 {
        engine.start("a").unwrap();
        wait_until("it is served", || tcp_peer(local(8080)).is_ok());
        engine.stop("a", Duration::ZERO).unwrap();
        // Nobody listens any more, whoever has the socket.
        tcp_peer(local(8080)).unwrap_err();
        drop(TcpListener::bind("0.0.0.0:8080").unwrap());
        // Of a port of UDP nothing else can be done than to wait for it.
        let sockets = Arc::clone(&sockets);
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            sockets.0.lock().unwrap().retain(|(protocol, _)| *protocol == Protocol::Tcp);
        });
    }
    engine.remove("a").unwrap();
}

/// Starts a server with a proxy that may have 20 of each kind: a sixth of the program's descriptors.
fn serve_few(it: &Fixture, publish: Vec<Publish>) {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(120), ..limit }).unwrap();
    serve(it, "a", publish);
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Beyond the bound clients wait; they are served as soon as others have gone.
fn bounded_connections() {
    let it = Fixture::publishing(PublishVia::Proxy);
    serve_few(&it, vec![tcp(8080)]);
    let mut streams: Vec<_> = (0..30)
        .map(|_| {
            let mut stream = TcpStream::connect(local(8080)).unwrap();
            stream.write_all(b"e1").unwrap();
            stream
        })
        .collect();
    let is_served = |stream: &mut TcpStream, patience| {
        stream.set_read_timeout(Some(patience)).unwrap();
        stream.read_exact(&mut [0]).is_ok()
    };
    let mut waiting = streams.split_off(20);
    assert!(streams.iter_mut().all(|stream| is_served(stream, Duration::from_secs(5))));
    assert!(!waiting.iter_mut().any(|stream| is_served(stream, Duration::from_millis(50))));
    drop(streams);
    assert!(waiting.iter_mut().all(|stream| is_served(stream, Duration::from_secs(5))));
}

/// Beyond the bound the client that was silent longest makes room, and is a new one when it speaks again.
fn bounded_udp_clients() {
    let it = Fixture::publishing(PublishVia::Proxy);
    serve_few(&it, vec![udp(8080)]);
    let clients: Vec<_> = (0..50)
        .map(|_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(local(8080)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            socket
        })
        .collect();
    let before = open_sockets();
    for _ in 0..2 {
        for (number, client) in clients.iter().enumerate() {
            let word = number.to_string();
            client.send(word.as_bytes()).unwrap();
            let mut answer = [0; 40];
            let count = client.recv(&mut answer).unwrap();
            assert_eq!(&answer[..count], format!("127.0.0.1 {word}").as_bytes());
        }
        assert_eq!(open_sockets().difference(&before).count(), 20);
    }
}

/// The inodes of this process's sockets, of all network namespaces. Their number alone would not do: what an earlier
/// proxy still held may be closed at any time.
fn open_sockets() -> BTreeSet<String> {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|it| std::fs::read_link(it.unwrap().path()).ok());
    targets.map(|it| it.to_string_lossy().into_owned()).filter(|it| it.starts_with("socket:")).collect()
}
