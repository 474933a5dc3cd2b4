//! Ports: what the container sees, repetition, conflicts, and containers that vanish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use llcm_names::{IfName, InstallationId, Owner, PortId};
use llcm_netlink::link_kind::add_bridge;
use llcm_netlink::{Socket, link, netns};
use llcm_runtime::{ErrorKind, ManagementSpec, Neighbour, NetworkDriver, PortSpec, SegmentKind};

use crate::bed::{Bed, E_LINE, Instance, Plug, dc, exec, exec_ok, run, single};

const PLUG: Plug<'static> = Plug {
    port: 0x1f,
    dc: "dc1",
    container: "c1",
    ifname: "data",
    address: "10.0.0.1/24 fd00::1/64",
    segments: &[1],
};

#[tokio::test]
async fn the_container_sees_name_mac_mtu_and_addresses() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(0x1f, "dc1")]).await;
    let netns = bed.container("c1");
    let mut spec = bed.port(&instance, &PLUG);
    spec.mtu = 9000;
    let view = bed.network().attach(&spec, &bed.point("c1")).await.unwrap();
    assert_eq!(view.host_device, "p1f");
    let shown = run("ip", &["-n", &netns, "-j", "addr", "show", "dev", "data"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let shown = &shown[0];
    assert_eq!(shown["address"], spec.mac.to_string());
    assert_eq!(shown["mtu"], 9000);
    assert!(shown["flags"].as_array().unwrap().contains(&"UP".into()), "{shown}");
    let addresses: Vec<String> = shown["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|address| address["scope"] == "global")
        .map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]))
        .collect();
    assert_eq!(addresses, ["10.0.0.1/24", "fd00::1/64"]);
    let near = run("ip", &["-n", &bed.dc_netns("dc1"), "-d", "link", "show", "p1f"]);
    assert!(near.contains("state UP") && near.contains("mtu 9000"), "{near}");
    assert!(near.contains(&instance.owner.mark()), "{near}");
}

#[tokio::test]
async fn attach_may_be_repeated_but_not_changed() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(0x1f, "dc1")]).await;
    bed.container("c1");
    let spec = bed.port(&instance, &PLUG);
    let index = |bed: &Bed| run("ip", &["-n", &bed.dc_netns("dc1"), "-o", "link", "show", "p1f"]);
    bed.network().attach(&spec, &bed.point("c1")).await.unwrap();
    let first = index(&bed);
    bed.network().attach(&spec, &bed.point("c1")).await.unwrap();
    bed.restart();
    bed.network().attach(&spec, &bed.point("c1")).await.unwrap();
    assert_eq!(index(&bed), first, "the pair was made anew");

    let mut changed = spec.clone();
    changed.mtu = 1400;
    let other = bed.port(&bed.instance(1), &PLUG);
    for spec in [changed, other] {
        let error = bed.network().attach(&spec, &bed.point("c1")).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    }
    let second = Plug { port: 2, segments: &[], ..PLUG };
    let error = bed.network().attach(&bed.port(&instance, &second), &bed.point("c1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    assert_eq!(index(&bed), first);
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), ["p1f"], "a refused port left a device");
}

#[tokio::test]
async fn what_is_not_known_is_not_found() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.container("c1");
    let spec = bed.port(&instance, &PLUG);
    let error = bed.network().attach(&spec, &bed.point("c1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    assert!(error.message.contains("segment 1"), "{error}");
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(0x1f, "dc1")]).await;
    let error = bed.network().attach(&spec, &bed.point("gone")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    let elsewhere = bed.port(&instance, &Plug { dc: "dc9", ..PLUG });
    let error = bed.network().attach(&elsewhere, &bed.point("c1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    let stranger = bed.port(&instance, &Plug { port: 3, ..PLUG });
    let error = bed.network().attach(&stranger, &bed.point("c1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert_eq!(bed.devices(&bed.netns("c1")), Vec::<String>::new());
}

#[tokio::test]
async fn the_hosts_own_network_is_not_touched() {
    let Some(bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    let spec = bed.port(&instance, &Plug { segments: &[], ..PLUG });
    let point =
        llcm_runtime::AttachPoint { netns: Some("/proc/self/ns/net".into()), engine: None, run: None };
    let error = bed.network().attach(&spec, &point).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    assert!(error.message.contains("host's network"), "{error}");
}

#[tokio::test]
async fn the_engines_interface_moves_aside_with_addresses_and_routes() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(0x1f, "dc1")]).await;
    let netns = bed.container("c1");
    let ip = |words: &str| run("ip", &[&["-n", &netns][..], &words.split(' ').collect::<Vec<_>>()].concat());
    ip("link add eth0 type veth peer name other");
    ip("addr add 172.17.0.2/16 dev eth0");
    ip("link set eth0 up");
    ip("link set other up");
    ip("route add default via 172.17.0.1");
    bed.attach(&instance, &Plug { ifname: "eth0", ..PLUG }).await;
    assert!(ip("addr show dev mgmt0").contains("172.17.0.2/16"));
    assert!(ip("route show default").contains("via 172.17.0.1 dev mgmt0"));
    assert!(ip("addr show dev eth0").contains("10.0.0.1/24"));
}

#[tokio::test]
async fn the_engines_interface_takes_the_name_of_a_connection_point() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(0x1f, "dc1")]).await;
    let netns = bed.container("c1");
    let ip = |words: &str| run("ip", &[&["-n", &netns][..], &words.split(' ').collect::<Vec<_>>()].concat());
    let port = bed.port(&instance, &PLUG);
    let management = bed.network().management().expect("this driver can");
    let spec = |name: &str| ManagementSpec {
        owner: instance.owner.clone(),
        container: port.container.clone(),
        ifname: IfName::parse(name).unwrap(),
    };
    let error = management.name_management(&spec("mgmt"), &bed.point("c1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");

    ip("link add eth0 type veth peer name other");
    ip("addr add 172.17.0.2/16 dev eth0");
    ip("link set eth0 up");
    ip("link set other up");
    ip("route add default via 172.17.0.1");
    for _ in 0..2 {
        management.name_management(&spec("mgmt"), &bed.point("c1")).await.unwrap();
        assert!(ip("addr show dev mgmt").contains("172.17.0.2/16"));
        assert!(ip("link show dev mgmt").contains(",UP"));
        assert!(ip("route show default").contains("via 172.17.0.1 dev mgmt"));
    }
    // A port may have the engine's name now; nothing is moved aside, and a port is never renamed.
    bed.attach(&instance, &Plug { ifname: "eth0", ..PLUG }).await;
    assert!(ip("addr show dev eth0").contains("10.0.0.1/24"));
    let mut devices = bed.devices(&netns);
    devices.sort();
    assert_eq!(devices, ["eth0", "mgmt", "other"]);
    management.name_management(&spec("mgmt"), &bed.point("c1")).await.unwrap();
    let error = management.name_management(&spec("eth0"), &bed.point("c1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    let stranger = ManagementSpec { owner: stranger(&instance), ..spec("mgmt") };
    let error = management.name_management(&stranger, &bed.point("c1")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
}

/// An instance of another installation.
fn stranger(instance: &Instance) -> Owner {
    Owner { installation: InstallationId::from_bits(7), instance: instance.owner.instance }
}

#[tokio::test]
async fn a_container_that_came_back_is_plugged_in_again() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(0x1f, "dc1"), (2, "dc1")]).await;
    bed.container("c1");
    bed.container("c2");
    let peer = Plug { port: 2, container: "c2", address: "10.0.0.2/24", ..PLUG };
    bed.attach(&instance, &peer).await;
    for _ in 0..2 {
        bed.attach(&instance, &PLUG).await;
        bed.reaches("c1", "10.0.0.2");
        bed.reaches("c2", "10.0.0.1");
        bed.kill("c1");
        bed.container("c1");
    }
    let owner = &instance.owner;
    for _ in 0..2 {
        bed.network().detach(owner, &dc("dc1"), PortId::new(0x1f)).await.unwrap();
    }
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), ["p2"]);
    let stranger = bed.instance(1).owner;
    let error = bed.network().detach(&stranger, &dc("dc1"), PortId::new(2)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    bed.network().detach(owner, &dc("dc1"), PortId::new(2)).await.unwrap();
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), Vec::<String>::new());
    assert_eq!(bed.devices(&bed.netns("c2")), Vec::<String>::new());
}

#[tokio::test]
async fn detaching_one_port_spares_those_that_are_being_attached() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.container("c1");
    bed.container("c2");
    let first = Plug { port: 1, container: "c1", segments: &[], ..PLUG };
    let second = Plug { port: 2, container: "c2", segments: &[], ..PLUG };
    for _ in 0..20 {
        bed.attach(&instance, &first).await;
        let spec = bed.port(&instance, &second);
        let (point, datacenter) = (bed.point("c2"), dc("dc1"));
        let (detached, attached) = tokio::join!(
            bed.network().detach(&instance.owner, &datacenter, PortId::new(1)),
            bed.network().attach(&spec, &point)
        );
        detached.unwrap();
        attached.unwrap();
        assert_eq!(bed.devices(&bed.dc_netns("dc1")), ["p2"]);
        bed.network().detach(&instance.owner, &datacenter, PortId::new(2)).await.unwrap();
    }
}

#[tokio::test]
async fn ports_attached_at_once_are_all_joined() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    let mut specs = Vec::new();
    for number in 0..8 {
        let ports = [number * 2 + 1, number * 2 + 2];
        bed.ensure(&instance, number + 1, E_LINE, &ports.map(|port| (port, "dc1"))).await;
        for port in ports {
            let name = format!("c{port}");
            bed.container(&name);
            let segments = [number + 1];
            let address = format!("10.0.0.{port}/24");
            let plug = Plug { port, container: &name, address: &address, segments: &segments, ..PLUG };
            specs.push((bed.port(&instance, &plug), bed.point(&name)));
        }
    }
    let mut attaching = tokio::task::JoinSet::new();
    for (spec, point) in specs {
        let network = bed.network().clone();
        attaching.spawn(async move { network.attach(&spec, &point).await });
    }
    while let Some(result) = attaching.join_next().await {
        result.unwrap().unwrap();
    }
    for number in 0..8 {
        bed.reaches(&format!("c{}", number * 2 + 1), &format!("10.0.0.{}", number * 2 + 2));
    }
    let filters = exec_ok(&bed.dc_netns("dc1"), &["tc", "filter", "show", "dev", "p1", "ingress"]);
    assert_eq!(filters.matches("mirred").count(), 1, "{filters}");
}

/// Others that work on the kernel's network keep it from taking notice of new interfaces for a while.
struct Others(Arc<AtomicBool>, Vec<std::thread::JoinHandle<()>>);

impl Others {
    fn busy() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let work = |over: Arc<AtomicBool>| {
            move || {
                // In namespaces of their own, which go with the threads.
                let work = netns::throw_away(|| {
                    let mut socket = Socket::open().unwrap();
                    while !over.load(Ordering::Relaxed) {
                        add_bridge(&mut socket, "b", 1).unwrap();
                        let made = link::find(&mut socket, "b").unwrap().unwrap();
                        link::delete(&mut socket, made.device()).unwrap();
                    }
                });
                work.unwrap();
            }
        };
        let threads = (0..4).map(|_| std::thread::spawn(work(over.clone()))).collect();
        Self(over, threads)
    }

    fn end(self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1 {
            thread.join().unwrap();
        }
    }
}

#[tokio::test]
async fn the_first_packet_of_a_port_arrives_while_others_keep_the_kernel_busy() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(1, "dc1"), (2, "dc1")]).await;
    let c1 = bed.container("c1");
    let c2 = bed.container("c2");
    let first = Plug { port: 1, container: "c1", ..PLUG };
    bed.attach(&instance, &first).await;
    let second = Plug { port: 2, container: "c2", address: "10.0.0.2/24", ..PLUG };
    // They know each other, so that the first packet is the ping: nobody repeats it when it is lost.
    let neighbour = Neighbour { address: [10, 0, 0, 1].into(), mac: bed.port(&instance, &first).mac };
    let spec = PortSpec { neighbours: vec![neighbour], ..bed.port(&instance, &second) };
    run("ip", &["-n", &c1, "neigh", "add", "10.0.0.2", "lladdr", &spec.mac.to_string(), "dev", "data"]);
    let others = Others::busy();
    let mut lost = 0;
    for _ in 0..20 {
        bed.network().attach(&spec, &bed.point("c2")).await.unwrap();
        let output = exec(&c2, &["ping", "-n", "-c", "1", "-W", "20", "10.0.0.1"]);
        lost += u32::from(!output.status.success());
        bed.network().detach(&instance.owner, &dc("dc1"), PortId::new(2)).await.unwrap();
    }
    others.end();
    assert_eq!(lost, 0, "of 20");
}
