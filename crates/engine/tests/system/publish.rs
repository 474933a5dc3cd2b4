//! Published ports, by rules and by the proxy: the same cases for both where both apply. The whole program of tests
//! has a network namespace of its own, so nothing of the machine's is touched; a second one stands for the others.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use llcm_engine::{EngineError, Protocol, Publish, PublishVia, Spec};

use crate::containers::wait_until;
use crate::kit::Fixture;
use crate::outsider::{HOST, OUTSIDER, Outside};
use crate::server::server;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("publish_proxy_both_protocols", || both_protocols(PublishVia::Proxy)),
    ("publish_nft_both_protocols", || both_protocols(PublishVia::Nft)),
    ("publish_proxy_large_transfers", || large_transfers(PublishVia::Proxy)),
    ("publish_nft_large_transfers", || large_transfers(PublishVia::Nft)),
    ("publish_proxy_half_close_and_reset", || half_close_and_reset(PublishVia::Proxy)),
    ("publish_nft_half_close_and_reset", || half_close_and_reset(PublishVia::Nft)),
    ("publish_proxy_outside_client", || outside_client(PublishVia::Proxy)),
    ("publish_nft_outside_client", || outside_client(PublishVia::Nft)),
    ("publish_proxy_port_in_use", || port_in_use(PublishVia::Proxy)),
    ("publish_nft_port_in_use", || port_in_use(PublishVia::Nft)),
    ("publish_proxy_started_again", || started_again(PublishVia::Proxy)),
    ("publish_nft_started_again", || started_again(PublishVia::Nft)),
    ("publish_proxy_many_connections", || many_connections(PublishVia::Proxy)),
    ("publish_nft_many_connections", || many_connections(PublishVia::Nft)),
    ("publish_proxy_tries_the_containers_addresses", tries_the_containers_addresses),
    ("publish_proxy_slow_reader_holds_nobody_up", slow_reader_holds_nobody_up),
];

pub(crate) fn tcp(host_port: u16) -> Publish {
    Publish { protocol: Protocol::Tcp, host_ip: None, host_port, container_port: 80 }
}

pub(crate) fn udp(host_port: u16) -> Publish {
    Publish { protocol: Protocol::Udp, ..tcp(host_port) }
}

/// A container with a server at port 80 of both protocols, running and listening.
pub(crate) fn serve(it: &Fixture, name: &str, publish: Vec<Publish>) {
    serve_spec(it, Spec { publish, ..server(name, "0.0.0.0:80") });
}

pub(crate) fn serve_spec(it: &Fixture, spec: Spec) {
    let name = spec.name.clone();
    it.run_spec(spec);
    wait_until("the server listens", || it.log(&name).contains("ready"));
}

pub(crate) fn at(address: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(address.into(), port)
}

pub(crate) fn local(port: u16) -> SocketAddr {
    at(Ipv4Addr::LOCALHOST, port)
}

/// Which address the server sees of a TCP client.
pub(crate) fn tcp_peer(to: SocketAddr) -> std::io::Result<IpAddr> {
    let mut stream = TcpStream::connect_timeout(&to, Duration::from_secs(3))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"p")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text.parse().unwrap())
}

/// Which address the server sees of a UDP client; repeated until it answers, for datagrams may be lost, the first ones
/// until it is known who has an address.
pub(crate) fn udp_peer(to: SocketAddr) -> std::io::Result<IpAddr> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    // Connected: only an answer from where it was sent to is an answer.
    socket.connect(to)?;
    let mut answer = [0; 100];
    let mut result = Err(std::io::Error::other("never tried"));
    for _ in 0..10 {
        result = socket.send(b"hello").and_then(|_| socket.recv(&mut answer));
        if result.is_ok() {
            break;
        }
    }
    let answer = std::str::from_utf8(&answer[..result?]).unwrap();
    let (address, payload) = answer.split_once(' ').unwrap();
    assert_eq!(payload, "hello");
    Ok(address.parse().unwrap())
}

/// Sends all of `data` to the echo and reads it back.
pub(crate) fn echo(mut stream: TcpStream, data: &[u8]) -> Vec<u8> {
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut sender = stream.try_clone().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            sender.write_all(b"e").unwrap();
            sender.write_all(data).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        back
    })
}

fn both_protocols(via: PublishVia) {
    let it = Fixture::publishing(via);
    let other = Publish { host_ip: Some(Ipv4Addr::new(127, 0, 0, 2).into()), ..tcp(8083) };
    serve(&it, "a", vec![tcp(8080), udp(8080), other]);
    tcp_peer(local(8080)).unwrap();
    udp_peer(local(8080)).unwrap();
    tcp_peer(at(Ipv4Addr::new(127, 0, 0, 2), 8083)).unwrap();
    tcp_peer(local(8083)).unwrap_err();
    let sixth = |port| SocketAddr::new("::1".parse().unwrap(), port);
    tcp_peer(sixth(8080)).unwrap();
    udp_peer(sixth(8080)).unwrap();
    // A second container beside it; each has its own.
    serve(&it, "b", vec![Publish { container_port: 80, ..tcp(8081) }]);
    tcp_peer(local(8081)).unwrap();
    it.remove("a").unwrap();
    tcp_peer(local(8080)).unwrap_err();
    tcp_peer(local(8081)).unwrap();
    let publishing = it.publishing();
    assert_eq!((publishing.via, publishing.problems), (via, Vec::new()));
}

fn large_transfers(via: PublishVia) {
    let it = Fixture::publishing(via);
    serve(&it, "a", vec![tcp(8080)]);
    // Not a round number, and no period that a shifted copy would hide in.
    let mut state = 1_u32;
    let data: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take((32 << 20) + 4321)
    .collect();
    let back = echo(TcpStream::connect(local(8080)).unwrap(), &data);
    assert_eq!(back.len(), data.len() + 3);
    assert!(back.starts_with(&data) && back.ends_with(b"bye"));
}

fn half_close_and_reset(via: PublishVia) {
    let it = Fixture::publishing(via);
    serve(&it, "a", vec![tcp(8080)]);
    // The client's end reaches the server, which answers only then.
    assert_eq!(echo(TcpStream::connect(local(8080)).unwrap(), b"few"), b"fewbye");
    assert_eq!(echo(TcpStream::connect(local(8080)).unwrap(), b""), b"bye");
    // The server's end reaches the client, which goes on sending.
    let mut stream = TcpStream::connect(local(8080)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"h").unwrap();
    let mut first = Vec::new();
    stream.read_to_end(&mut first).unwrap();
    assert_eq!(first, b"half");
    stream.write_all(b"the rest").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    wait_until("the rest has arrived", || it.log("a").contains("then: the rest"));
    // A connection that the server breaks off is seen to be broken off.
    let mut stream = TcpStream::connect(local(8080)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.write_all(b"r").unwrap();
    let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    // A port behind which nobody listens is as good as closed.
    it.run_spec(Spec { publish: vec![tcp(8082)], ..Spec::new("silent", "host") });
    tcp_peer(local(8082)).unwrap_err();
    udp_peer(local(8082)).unwrap_err();
}

fn outside_client(via: PublishVia) {
    let outside = Outside::new();
    let it = Fixture::publishing(via);
    let named = Publish { host_ip: Some(HOST.into()), ..tcp(8081) };
    let elsewhere = Publish { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..tcp(8082) };
    serve(&it, "a", vec![tcp(8080), udp(8080), named, elsewhere]);
    let seen = outside.visit(|| tcp_peer(at(HOST, 8080))).unwrap();
    let named = outside.visit(|| tcp_peer(at(HOST, 8081))).unwrap();
    let datagram = outside.visit(|| udp_peer(at(HOST, 8080))).unwrap();
    let (tcp, udp) = match it.inspect("a").unwrap().unwrap().management {
        // With rules TCP shows who it is; UDP comes from the neighbour on the pair.
        Some(address) => (OUTSIDER, Ipv4Addr::from(u32::from(address) - 1)),
        None => (Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST),
    };
    assert_eq!(tcp == OUTSIDER, via == PublishVia::Nft);
    assert_eq!([seen, named, datagram].map(|it| it.to_string()), [tcp, tcp, udp].map(|it| it.to_string()));
    outside.visit(|| tcp_peer(at(HOST, 8082))).unwrap_err();
    // The host by its own address.
    tcp_peer(at(HOST, 8080)).unwrap();
    udp_peer(at(HOST, 8080)).unwrap();
    let data = vec![7; 5 << 20];
    let back = outside.visit(|| echo(TcpStream::connect(at(HOST, 8080)).unwrap(), &data));
    assert_eq!(back.len(), data.len() + 3);
}

fn port_in_use(via: PublishVia) {
    let it = Fixture::publishing(via);
    let occupied = TcpListener::bind("127.0.0.1:8080").unwrap();
    let create = |name: &str, publish| {
        it.create(Spec { publish, ..server(name, "0.0.0.0:80") }).unwrap();
        it.start(name)
    };
    let refused = |result: Result<(), EngineError>, port: &str| {
        let error = result.unwrap_err();
        assert!(
            matches!(&error, EngineError::Conflict { kind: "port", name, .. } if name == port),
            "{error}"
        );
        assert!(error.to_string().contains(port), "{error}");
    };
    refused(create("a", vec![tcp(8090), tcp(8080)]), "tcp 8080");
    // What it had taken by then is free again.
    drop(TcpListener::bind("0.0.0.0:8090").unwrap());
    drop(occupied);
    it.start("a").unwrap();
    // Another program cannot have it, whichever way it asks.
    TcpListener::bind("127.0.0.1:8080").unwrap_err();
    TcpListener::bind("0.0.0.0:8080").unwrap_err();
    refused(create("b", vec![tcp(8080)]), "tcp 8080");
    create("c", vec![udp(8080)]).unwrap();
    UdpSocket::bind("127.0.0.1:8080").unwrap_err();
    refused(create("d", vec![udp(8080)]), "udp 8080");
    let other = Publish { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..udp(8080) };
    refused(create("e", vec![other]), "udp 127.0.0.1:8080");
    it.stop("a", Duration::ZERO).unwrap();
    it.start("b").unwrap();
    // An end that nobody has noticed yet.
    let spec = Spec { command: vec!["true".to_owned()], publish: vec![tcp(8077)], ..Spec::new("f", "host") };
    it.run_spec(spec);
    it.create(Spec { publish: vec![tcp(8077)], ..Spec::new("g", "host") }).unwrap();
    wait_until("the port is free", || it.start("g").is_ok());
    let missing = Publish { host_ip: Some("203.0.113.9".parse().unwrap()), ..tcp(1000) };
    let error = create("h", vec![missing]).unwrap_err().to_string();
    assert!(error.contains("203.0.113.9:1000") && error.contains("no such address"), "{error}");
}

fn started_again(via: PublishVia) {
    let it = Fixture::publishing(via);
    serve(&it, "a", vec![tcp(8080), udp(8080)]);
    let mut open = TcpStream::connect(local(8080)).unwrap();
    open.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    open.write_all(b"e").unwrap();
    for round in 1..=3_usize {
        tcp_peer(local(8080)).unwrap();
        udp_peer(local(8080)).unwrap();
        it.stop("a", Duration::ZERO).unwrap();
        if round == 1 {
            // The connection has ended with the container, with or without a reset.
            assert!(matches!(open.read(&mut [0; 9]), Ok(0) | Err(_)));
        }
        tcp_peer(local(8080)).unwrap_err();
        drop(TcpListener::bind("0.0.0.0:8080").unwrap());
        it.start("a").unwrap();
        wait_until("the server listens", || it.log("a").matches("ready").count() > round);
    }
    tcp_peer(local(8080)).unwrap();
}

fn many_connections(via: PublishVia) {
    let it = Fixture::publishing(via);
    serve(&it, "a", vec![tcp(8080)]);
    let before = settled(threads);
    let mut streams: Vec<_> = (0..150).map(|_| TcpStream::connect(local(8080)).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(b"e1").unwrap();
    }
    for stream in &mut streams {
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"1");
    }
    wait_until("a connection costs no thread", || threads() == before);
    drop(streams);
    tcp_peer(local(8080)).unwrap();
}

/// A number that does not change any more.
pub(crate) fn settled(count: impl Fn() -> usize) -> usize {
    let (mut last, mut same) = (count(), 0);
    while same < 10 {
        std::thread::sleep(Duration::from_millis(10));
        let now = count();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// A server that listens at one address of the container only, which is not loopback.
fn tries_the_containers_addresses() {
    let it = Fixture::publishing(PublishVia::Proxy);
    let spec = Spec { publish: vec![tcp(8080), udp(8080)], ..server("a", "10.1.2.3:80") };
    let created = it.create(spec).unwrap();
    let ip = |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let network = format!("--net={}", created.network.display());
        let mut command = std::process::Command::new("nsenter");
        assert!(command.arg(network).arg("ip").args(arguments).status().unwrap().success());
    };
    ip("link add v0 type veth peer name v1");
    ip("addr add 10.1.2.3/24 dev v0");
    ip("link set v0 up");
    ip("link set v1 up");
    it.start("a").unwrap();
    wait_until("the server listens", || it.log("a").contains("ready"));
    assert_eq!(tcp_peer(local(8080)).unwrap().to_string(), "10.1.2.3");
    assert_eq!(udp_peer(local(8080)).unwrap().to_string(), "10.1.2.3");
    // And one at the IPv6 loopback.
    serve_spec(&it, Spec { publish: vec![tcp(8081)], ..server("b", "[::1]:80") });
    assert_eq!(tcp_peer(local(8081)).unwrap().to_string(), "::1");
}

/// Neither the proxy's memory nor other connections suffer from a client that sends and never reads.
fn slow_reader_holds_nobody_up() {
    let it = Fixture::publishing(PublishVia::Proxy);
    serve(&it, "a", vec![tcp(8080)]);
    let mut slow = TcpStream::connect(local(8080)).unwrap();
    slow.set_nonblocking(true).unwrap();
    let block = [b'e'; 64 << 10];
    let mut sent = 0;
    let mut blocked = 0;
    while blocked < 20 {
        match slow.write(&block) {
            Ok(count) => sent += count,
            Err(_) => {
                blocked += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
    // The kernel's buffers of four sockets, and no more: it cannot send for ever.
    assert!(sent < 64 << 20, "{sent}");
    tcp_peer(local(8080)).unwrap();
    // Nothing is lost when it begins to read.
    slow.set_nonblocking(false).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    slow.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    slow.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), sent - 1 + 3);
}
