//! What holds for published ports by rules alone: nothing else goes through, and nothing is left.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

use llcm_engine::capability::Capability;
use llcm_engine::{Publish, PublishVia, Spec};

use crate::containers::wait_until;
use crate::kit::{Fixture, shell, text, while_leftovers_are_removed};
use crate::outsider::{HOST, OUTSIDER, Outside, ip, output};
use crate::publish::{at, local, serve, serve_spec, tcp, tcp_peer, udp, udp_peer};
use crate::server::server;

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("publish_rules_container_reaches_nobody", container_reaches_nobody),
    ("publish_rules_routes_are_the_containers_own", routes_are_the_containers_own),
    ("publish_rules_nothing_is_left", nothing_is_left),
    ("publish_rules_come_while_leftovers_are_removed", come_while_leftovers_are_removed),
    ("publish_rules_forwarding_is_switched_back", forwarding_is_switched_back),
    ("publish_rules_loopback_stays_private", loopback_stays_private),
    ("publish_rules_of_docker_drop", rules_of_docker_drop),
    ("publish_rules_addresses_in_use_are_left_out", addresses_in_use_are_left_out),
    ("publish_rules_many_containers", many_containers),
];

pub(crate) fn rules() -> String {
    output(Command::new("nft").args(["list", "ruleset"]))
}

fn forwarding() -> String {
    fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap().trim().to_owned()
}

/// Whether the script's last command succeeds in the container.
fn succeeds(it: &Fixture, name: &str, script: &str) -> bool {
    it.sh(name, script).code == Some(0)
}

fn management(it: &Fixture, name: &str) -> Ipv4Addr {
    it.inspect(name).unwrap().unwrap().management.unwrap()
}

fn container_reaches_nobody() {
    let outside = Outside::new();
    // The outsider would answer, for it has a way back.
    outside.ip(&format!("route add 169.254.64.0/18 via {HOST}"));
    let it = Fixture::publishing(PublishVia::Nft);
    let cap_add = vec![Capability::NET_ADMIN, Capability::NET_RAW];
    serve_spec(&it, Spec { publish: vec![tcp(8080), udp(8080)], cap_add, ..server("a", "0.0.0.0:80") });
    serve(&it, "b", vec![tcp(8081)]);
    assert_eq!(forwarding(), "1");
    let own = management(&it, "a");
    let neighbour = Ipv4Addr::from(u32::from(own) - 1);
    // Servers on the host and outside that would take it.
    let listener = TcpListener::bind("0.0.0.0:7000").unwrap();
    let datagrams = UdpSocket::bind("0.0.0.0:7000").unwrap();
    let far = outside
        .visit(|| (TcpListener::bind("0.0.0.0:7000").unwrap(), UdpSocket::bind("0.0.0.0:7000").unwrap()));
    for socket in [&datagrams, &far.1] {
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    }
    let dial = |protocol: &str, to: Ipv4Addr, port: u16| {
        let output = it.sh("a", &format!("/server dial {protocol} {own}:0 {to}:{port}"));
        assert!(matches!(output.code, Some(0 | 3)), "{output:?}");
        output.code == Some(0)
    };
    // It reaches itself that way, so that failing means something.
    wait_until("it reaches itself", || {
        dial("tcp", own, 80) && succeeds(&it, "a", &format!("ping -c 1 -W 1 {own}"))
    });
    // As root of its network it takes the pair for its default route.
    assert!(succeeds(&it, "a", &format!("ip route add default via {neighbour} dev pub0")));
    let everybody = [neighbour, HOST, OUTSIDER];
    for to in everybody {
        assert!(!dial("tcp", to, 7000), "{to}");
        assert!(dial("udp", to, 7000), "{to}: it is sent");
        assert!(!succeeds(&it, "a", &format!("ping -c 1 -W 1 {to}")), "{to}");
    }
    // Nor another container, by its address or by its published port.
    assert!(!dial("tcp", management(&it, "b"), 80) && !dial("tcp", HOST, 8081));
    // The host's loopback: the container is made to send to 127.0.0.1 by the pair.
    let script = format!(
        "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip addr flush dev lo; \
         ip route flush table local 127.0.0.0/8; ip route add 127.0.0.0/8 via {neighbour} dev pub0 && \
         ip route get 127.0.0.1 from {own} | grep pub0"
    );
    assert!(succeeds(&it, "a", &script), "{:?}", it.sh("a", &script));
    assert!(dial("udp", Ipv4Addr::LOCALHOST, 7000));
    assert!(!dial("tcp", Ipv4Addr::LOCALHOST, 7000));
    datagrams.recv_from(&mut [0; 9]).unwrap_err();
    far.1.recv_from(&mut [0; 9]).unwrap_err();
    for listener in [&listener, &far.0] {
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err());
    }
    // IPv6 on the pair is off at the host's end.
    let lines = ip("-6 -o addr show scope link");
    assert!(!lines.contains("lp"), "{lines}");
    // Two rules keep it from loopback; the first alone shows in the list only.
    assert!(rules().contains("ip daddr 127.0.0.0/8 drop"), "{}", rules());
    // All the while it is reached.
    tcp_peer(at(HOST, 8080)).unwrap();
    outside.visit(|| tcp_peer(at(HOST, 8080))).unwrap();
}

fn routes_are_the_containers_own() {
    let outside = Outside::new();
    let it = Fixture::publishing(PublishVia::Nft);
    let spec = Spec { publish: vec![tcp(8080), udp(8080)], ..server("a", "0.0.0.0:80") };
    let created = it.create(spec).unwrap();
    let inside = |arguments: &str| {
        let network = format!("--net={}", it.network("a").unwrap().display());
        output(Command::new("nsenter").arg(network).arg("ip").args(arguments.split(' ')))
    };
    // A network of the container's own, with a default route, before it starts.
    inside("link add v0 type veth peer name v1");
    inside("link set v0 up");
    inside("link set v1 up");
    inside("addr add 10.9.0.1/24 dev v0");
    inside("route add default via 10.9.0.254 dev v0");
    let own = created.management.unwrap();
    it.start("a").unwrap();
    wait_until("the server listens", || it.log("a").contains("ready"));
    assert_eq!(outside.visit(|| tcp_peer(at(HOST, 8080))).unwrap().to_string(), OUTSIDER.to_string());
    outside.visit(|| udp_peer(at(HOST, 8080))).unwrap();
    udp_peer(at(HOST, 8080)).unwrap();
    let routes = inside("-o route show");
    let expected = ["default via 10.9.0.254 dev v0", "10.9.0.0/24 dev v0", "169.254."];
    assert_eq!(routes.lines().count(), 3, "{routes}");
    assert!(expected.iter().all(|route| routes.contains(route)), "{routes}");
    // What the container sends goes its own way, from its own address, also where it has none on the way.
    let way = inside("-o route get 198.51.100.2");
    assert!(way.contains("via 10.9.0.254 dev v0 src 10.9.0.1"), "{way}");
    let way = inside(&format!("-o route get 198.51.100.2 from {own}"));
    assert!(way.contains("dev pub0"), "{way}");
    inside("addr flush dev v0");
    inside("route add 10.8.0.0/24 dev v0");
    let way = inside("-o route get 10.8.0.1");
    assert!(!way.contains("169.254."), "{way}");
}

fn nothing_is_left() {
    let before = (ip("-o link show"), ip("rule show"), ip("route show table all"));
    let mut it = Fixture::publishing(PublishVia::Nft);
    serve(&it, "a", vec![tcp(8080), udp(8080)]);
    let loopback = |port| Publish { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..tcp(port) };
    serve(&it, "b", vec![loopback(8081)]);
    // A container that publishes nothing has no pair.
    it.run("c", "exec sleep 1000");
    assert_eq!(it.inspect("c").unwrap().unwrap().management, None);
    assert_eq!(ip("-o link show").matches(" lp").count(), 2);
    it.stop("a", Duration::ZERO).unwrap();
    assert!(rules().contains("127.0.0.1") && !rules().contains("8080"), "{}", rules());
    it.stop("b", Duration::ZERO).unwrap();
    assert_eq!(rules(), "", "after the last stop");
    it.start("a").unwrap();
    assert!(rules().contains("8080"));
    it.remove("a").unwrap();
    it.remove("b").unwrap();
    assert_eq!((ip("-o link show"), ip("rule show"), ip("route show table all")), before);
    assert_eq!(rules(), "");
    // A container whose directory has gone: the next engine finds what it left.
    serve(&it, "a", vec![tcp(8080)]);
    let directory = it.inspect("a").unwrap().unwrap().log.parent().unwrap().to_path_buf();
    it.kill("a").unwrap();
    // As for the next start.
    it.network("a").unwrap();
    it.close();
    assert!(Command::new("umount").arg(directory.join("network")).status().unwrap().success());
    fs::remove_dir_all(directory).unwrap();
    it.open();
    assert_eq!((ip("-o link show"), rules().as_str()), (before.0, ""));
    // A name that is too much like another interface's is nobody's to delete.
    it.remove_leftovers();
}

fn come_while_leftovers_are_removed() {
    let it = Fixture::publishing(PublishVia::Nft);
    while_leftovers_are_removed(&it, || {
        for _ in 0..60 {
            it.run_spec(Spec {
                publish: vec![tcp(8080)],
                command: shell("exec sleep 1000"),
                ..Spec::new("a", "host")
            });
            assert!(succeeds(&it, "a", "test -e /sys/class/net/pub0"), "the interface of the pair is gone");
            it.remove("a").unwrap();
        }
    });
}

fn forwarding_is_switched_back() {
    let one = Fixture::publishing(PublishVia::Nft);
    let other = Fixture::publishing(PublishVia::Nft);
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
    fs::write("/proc/sys/net/ipv4/conf/all/accept_redirects", "0").unwrap();
    let loopback = Publish { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..tcp(8081) };
    serve(&one, "loopback", vec![loopback]);
    assert_eq!(forwarding(), "0", "not for loopback alone");
    serve(&one, "a", vec![tcp(8080)]);
    assert_eq!(forwarding(), "1");
    // A second engine needs it longer than the one that switched it on.
    serve(&other, "b", vec![tcp(8082)]);
    one.remove("a").unwrap();
    one.remove("loopback").unwrap();
    assert_eq!(forwarding(), "1");
    other.remove("b").unwrap();
    assert_eq!((forwarding().as_str(), rules().as_str()), ("0", ""));
    let redirects = fs::read_to_string("/proc/sys/net/ipv4/conf/all/accept_redirects").unwrap();
    assert_eq!(redirects.trim(), "0", "the switch turns it, too, and it was off");
    // Back to loopback alone.
    serve(&one, "loopback", vec![Publish { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..tcp(8081) }]);
    serve(&one, "a", vec![tcp(8080)]);
    one.stop("a", Duration::ZERO).unwrap();
    assert_eq!(forwarding(), "0");
    one.remove("loopback").unwrap();
    // Not ours to switch off.
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    one.start("a").unwrap();
    one.remove("a").unwrap();
    assert_eq!(forwarding(), "1");
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
}

/// A neighbour on the wire speaks to 127.0.0.1 of this machine.
fn loopback_stays_private() {
    let outside = Outside::new();
    let it = Fixture::publishing(PublishVia::Nft);
    let loopback = Publish { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..tcp(8080) };
    serve(&it, "a", vec![loopback, tcp(8081), udp(8081)]);
    tcp_peer(local(8080)).unwrap();
    for command in [
        "route del local 127.0.0.0/8 table local",
        "route del local 127.0.0.1 table local",
        "addr flush dev lo",
    ] {
        outside.ip(command);
    }
    outside.visit(|| fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").unwrap());
    outside.ip(&format!("route add 127.0.0.0/8 via {HOST} dev o1 src {OUTSIDER}"));
    // Those to the host's own address pass, so that the rest is no accident.
    outside.visit(|| tcp_peer(at(HOST, 8081))).unwrap();
    outside.visit(|| tcp_peer(local(8080))).unwrap_err();
    outside.visit(|| tcp_peer(local(8081))).unwrap_err();
    outside.visit(|| udp_peer(local(8081))).unwrap_err();
    // Nor straight to the container.
    let own = management(&it, "a");
    outside.ip(&format!("route add 169.254.64.0/18 via {HOST}"));
    outside.visit(|| tcp_peer(at(own, 80))).unwrap_err();
}

/// As Docker sets them: whatever it does not know is not forwarded, and no rule of another table changes that.
fn rules_of_docker_drop() {
    let outside = Outside::new();
    for arguments in [
        "-P FORWARD DROP",
        "-N DOCKER-USER",
        "-N DOCKER",
        "-A DOCKER-USER -j RETURN",
        "-A FORWARD -j DOCKER-USER",
        "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A FORWARD -o docker0 -j DOCKER",
        "-A FORWARD -i docker0 -j ACCEPT",
    ] {
        output(Command::new("iptables").args(arguments.split(' ')));
    }
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    let it = Fixture::publishing(PublishVia::Auto);
    serve(&it, "a", vec![tcp(8080), udp(8080)]);
    // By the proxy, so that it works; the host itself by the rules.
    let seen = outside.visit(|| tcp_peer(at(HOST, 8080))).unwrap();
    assert_eq!(seen.to_string(), "127.0.0.1");
    assert_eq!(outside.visit(|| udp_peer(at(HOST, 8080))).unwrap().to_string(), "127.0.0.1");
    let neighbour = Ipv4Addr::from(u32::from(management(&it, "a")) - 1);
    assert_eq!(tcp_peer(local(8080)).unwrap().to_string(), neighbour.to_string());
    assert_eq!(tcp_peer(at(HOST, 8080)).unwrap().to_string(), HOST.to_string());
    let publishing = it.publishing();
    assert_eq!(publishing.via, PublishVia::Nft);
    assert!(publishing.reason.contains("Docker"), "{publishing:?}");
    it.remove("a").unwrap();
    let left = ip("-o link show");
    assert!(!left.contains(": lt") && !left.contains(": lp"), "{left}");
    for arguments in ["-P FORWARD ACCEPT", "-F", "-X"] {
        output(Command::new("iptables").args(arguments.split(' ')));
    }
    output(Command::new("nft").args(["flush", "ruleset"]));
    fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
}

fn addresses_in_use_are_left_out() {
    let it = Fixture::publishing(PublishVia::Nft);
    it.create(Spec { publish: vec![tcp(8080)], ..server("a", "0.0.0.0:80") }).unwrap();
    let first = management(&it, "a");
    it.remove("a").unwrap();
    // The same name gets the same address, unless somebody has it: as an address or by a route.
    ip("link add busy type veth peer name busy1");
    ip("link set busy up");
    ip(&format!("route add {}/28 dev busy", Ipv4Addr::from(u32::from(first) & !15)));
    ip("route add 169.254.0.0/16 dev busy");
    it.create(Spec { publish: vec![tcp(8080)], ..server("a", "0.0.0.0:80") }).unwrap();
    let second = management(&it, "a");
    assert_ne!(u32::from(first) & !15, u32::from(second) & !15);
    let [one, two, three, _] = second.octets();
    assert!((one, two) == (169, 254) && (64..128).contains(&three), "{second}");
    it.start("a").unwrap();
    wait_until("the server listens", || it.log("a").contains("ready"));
    tcp_peer(local(8080)).unwrap();
    it.remove("a").unwrap();
    ip("link del busy");
    it.create(Spec { publish: vec![tcp(8080)], ..server("a", "0.0.0.0:80") }).unwrap();
    assert_eq!(management(&it, "a"), first);
}

fn many_containers() {
    let it = Fixture::publishing(PublishVia::Nft);
    let count = 24_u16;
    let began = std::time::Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let it = &it;
            scope.spawn(move || {
                for number in (0..count).filter(|number| number % 4 == thread) {
                    it.run_spec(Spec {
                        publish: vec![tcp(8000 + number)],
                        ..server(&format!("m{number}"), "0.0.0.0:80")
                    });
                }
            });
        }
    });
    let up = began.elapsed();
    for number in 0..count {
        wait_until("it listens", || tcp_peer(local(8000 + number)).is_ok());
    }
    let addresses: std::collections::BTreeSet<_> =
        (0..count).map(|number| management(&it, &format!("m{number}"))).collect();
    assert_eq!(addresses.len(), usize::from(count));
    let inside = it.sh("m3", "ip -br addr show pub0");
    assert!(text(&inside.stdout).contains(&management(&it, "m3").to_string()));
    println!("  {count} by 4, a port each: up in {:.0?} each", up / u32::from(count));
    let idle =
        Spec { command: shell("exec sleep 1000"), publish: vec![tcp(9000)], ..Spec::new("idle", "host") };
    it.run_spec(idle);
    tcp_peer(local(9000)).unwrap_err();
}
