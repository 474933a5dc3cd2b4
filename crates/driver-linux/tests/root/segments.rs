//! E-Lines and E-LANs within and across data centers, and what they keep apart.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use llcm_runtime::{NetworkDriver, SegmentKind};

use crate::bed::{Bed, E_LINE, Plug, exec_ok, line, single, topology};

fn plug<'a>(port: u32, dc: &'a str, container: &'a str, address: &'a str, segments: &'a [u32]) -> Plug<'a> {
    Plug { port, dc, container, ifname: "data", address, segments }
}

#[tokio::test]
async fn e_lines_join_two_ends_over_no_one_and_two_hops() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    for (number, far) in [(1, "dc1"), (2, "dc2"), (3, "dc3")] {
        let (left, right) = (format!("left{number}"), format!("right{number}"));
        bed.container(&left);
        bed.container(&right);
        let ports = [number * 10, number * 10 + 1];
        bed.ensure(&instance, number, E_LINE, &[(ports[0], "dc1"), (ports[1], far)]).await;
        let segments = [number];
        bed.attach(&instance, &plug(ports[0], "dc1", &left, "10.0.0.1/30", &segments)).await;
        bed.attach(&instance, &plug(ports[1], far, &right, "10.0.0.2/30", &segments)).await;
        bed.reaches(&left, "10.0.0.2");
        bed.reaches(&right, "10.0.0.1");
    }
}

#[tokio::test]
async fn an_e_lan_joins_all_its_ends() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    let sites = [(1, "dc1"), (2, "dc1"), (3, "dc2"), (4, "dc3")];
    bed.ensure(&instance, 7, SegmentKind::ELan, &sites).await;
    for (port, dc) in sites {
        let name = format!("c{port}");
        bed.container(&name);
        bed.attach(&instance, &plug(port, dc, &name, &format!("10.0.0.{port}/24"), &[7])).await;
    }
    for from in 1..=4 {
        for to in (1..=4).filter(|to| *to != from) {
            bed.reaches(&format!("c{from}"), &format!("10.0.0.{to}"));
        }
    }
}

#[tokio::test]
async fn instances_with_the_same_addresses_do_not_hear_each_other() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    for number in [0, 1] {
        let instance = bed.instance(number);
        let (lan, ports) = (number * 2 + 1, [number * 10 + 1, number * 10 + 2]);
        let ends = [(ports[0], "dc1"), (ports[1], "dc2"), (ports[1] + 1, "dc2")];
        bed.ensure(&instance, lan, SegmentKind::ELan, &ends).await;
        for (port, dc, address) in [(ports[0], "dc1", "10.0.0.1/24"), (ports[1], "dc2", "10.0.0.2/24")] {
            let name = format!("i{number}p{port}");
            bed.container(&name);
            bed.attach(&instance, &plug(port, dc, &name, address, &[lan])).await;
        }
    }
    bed.reaches("i0p1", "10.0.0.2");
    bed.reaches("i1p11", "10.0.0.2");
    ["i1p11", "i1p12"].iter().for_each(|name| bed.silence(name));
    let silent = bed.netns("i1p12");
    let before = received(&silent);
    // Addresses that only the first instance could have answered for, and a broadcast.
    bed.not_reaches("i0p1", "10.0.0.77");
    assert_eq!(received(&silent), before, "the second instance heard the first\n{}", bed.describe());
}

/// How many packets an interface called `data` has received.
pub(crate) fn received(netns: &str) -> u64 {
    exec_ok(netns, &["cat", "/sys/class/net/data/statistics/rx_packets"]).trim().parse().unwrap()
}

/// The same once it is as many as are wanted, which a busy machine takes its time for, and a while later, or after half a
/// minute.
pub(crate) fn received_in_the_end(netns: &str, wanted: u64) -> u64 {
    let end = Instant::now() + Duration::from_secs(30);
    while received(netns) < wanted && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(100));
    received(netns)
}

#[tokio::test]
async fn a_one_way_e_line_carries_frames_from_the_first_end_only() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    let one_way = SegmentKind::ELine { bidirectional: false };
    for (number, far) in [(1, "dc1"), (2, "dc2")] {
        let (first, second) = (format!("first{number}"), format!("second{number}"));
        bed.container(&first);
        bed.container(&second);
        let ports = [number * 10, number * 10 + 1];
        bed.ensure(&instance, number, one_way, &[(ports[0], "dc1"), (ports[1], far)]).await;
        let segments = [number];
        bed.attach(&instance, &plug(ports[0], "dc1", &first, "10.0.0.1/30", &segments)).await;
        bed.attach(&instance, &plug(ports[1], far, &second, "10.0.0.2/30", &segments)).await;
        let [first, second] = [&first, &second].map(|name| bed.netns(name));
        let before = [received(&first), received(&second)];
        send_frame(&first, "ffffffffffff", "0800");
        send_frame(&second, "ffffffffffff", "0800");
        assert_eq!(received_in_the_end(&second, before[1] + 1), before[1] + 1);
        assert_eq!(received(&first), before[0]);
    }
}

/// Sends one frame of 60 bytes with the given receiver and type.
fn send_frame(netns: &str, to: &str, kind: &str) {
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('data', 0))\n\
         s.send(bytes.fromhex('{to}' + '020000000001' + '{kind}') + bytes(46))"
    );
    exec_ok(netns, &["python3", "-c", &script]);
}

#[tokio::test]
async fn every_kind_of_frame_passes_an_e_line_and_an_e_lan() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    // An E-LAN with a third end, which nobody attaches, is made of bridges.
    for (id, kind, count) in [(1, E_LINE, 2), (2, SegmentKind::ELan, 3), (3, SegmentKind::ELan, 2)] {
        let (left, right) = (format!("left{id}"), format!("right{id}"));
        bed.container(&left);
        bed.container(&right);
        let ports = [id * 10, id * 10 + 1];
        let ends = [(ports[0], "dc1"), (ports[1], "dc2"), (ports[1] + 1, "dc1")];
        bed.ensure(&instance, id, kind, &ends[..count]).await;
        bed.attach(&instance, &plug(ports[0], "dc1", &left, "", &[id])).await;
        bed.attach(&instance, &plug(ports[1], "dc2", &right, "", &[id])).await;
        let [left, right] = [bed.netns(&left), bed.netns(&right)];
        // Unknown unicast of a private type, broadcast, LLDP, LACP, VLAN-tagged, MPLS.
        for (to, kind) in [
            ("020000000009", "88b5"),
            ("ffffffffffff", "88b5"),
            ("0180c200000e", "88cc"),
            ("0180c2000002", "8809"),
            ("020000000009", "8100"),
            ("01005e000001", "8847"),
        ] {
            let before = received(&right);
            send_frame(&left, to, kind);
            let after = received_in_the_end(&right, before + 1);
            assert_eq!(after, before + 1, "segment {id}: {kind} to {to}\n{}", bed.describe());
        }
    }
}

#[tokio::test]
async fn a_port_on_several_segments_reaches_each_peer_on_its_own() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    // The hub is on a local E-Line, a remote E-Line, and an E-LAN over two data centers, by one interface.
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc1")]).await;
    bed.ensure(&instance, 2, E_LINE, &[(1, "dc1"), (3, "dc2")]).await;
    bed.ensure(&instance, 3, SegmentKind::ELan, &[(1, "dc1"), (4, "dc1"), (5, "dc2")]).await;
    let plugs = [
        (1, "dc1", "hub", &[1, 2, 3][..]),
        (2, "dc1", "near", &[1]),
        (3, "dc2", "far", &[2]),
        (4, "dc1", "lan1", &[3]),
        (5, "dc2", "lan2", &[3]),
    ];
    for (port, dc, name, segments) in plugs {
        bed.container(name);
        bed.attach(&instance, &plug(port, dc, name, &format!("10.0.0.{port}/24"), segments)).await;
    }
    for to in 2..=5 {
        bed.reaches("hub", &format!("10.0.0.{to}"));
    }
    bed.reaches("lan1", "10.0.0.5");
    for (from, to) in [("near", 3), ("near", 4), ("far", 2), ("far", 5), ("lan1", 2), ("lan2", 3)] {
        bed.not_reaches(from, &format!("10.0.0.{to}"));
    }
    // Unicast goes to its receiver's segment only.
    bed.silence("near");
    let near = bed.netns("near");
    let before = received(&near);
    bed.reaches("hub", "10.0.0.5");
    assert_eq!(received(&near), before);
    bed.network().detach(&instance.owner, &crate::bed::dc("dc2"), llcm_names::PortId::new(3)).await.unwrap();
    for to in [4, 5] {
        bed.reaches("hub", &format!("10.0.0.{to}"));
    }
}

#[tokio::test]
async fn removing_a_segment_leaves_its_ports_unplugged() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    for (id, kind, count) in [(1, E_LINE, 2), (2, SegmentKind::ELan, 3)] {
        let ports = [id * 10, id * 10 + 1];
        let names = ports.map(|port| format!("c{port}"));
        let spec = bed.ensure(&instance, id, kind, &[0, 1, 2].map(|n| (ports[0] + n, "dc1"))[..count]).await;
        for (port, name) in ports.iter().zip(&names) {
            bed.container(name);
            bed.attach(&instance, &plug(*port, "dc1", name, &format!("10.0.0.{port}/24"), &[id])).await;
        }
        let to = format!("10.0.0.{}", ports[1]);
        bed.reaches(&names[0], &to);
        for _ in 0..2 {
            bed.network().remove_segment(&instance.owner, spec.id).await.unwrap();
            bed.not_reaches(&names[0], &to);
        }
        assert_eq!(bed.devices(&bed.netns(&names[0])), ["data"]);
        // Made again, it joins the ports that are there.
        bed.network().ensure_segment(&spec).await.unwrap();
        bed.reaches(&names[0], &to);
    }
}

#[tokio::test]
async fn a_ring_of_data_centers_makes_no_storm() {
    let plain = llcm_topology::LinkProperties::default();
    let ring = topology(&["a", "b", "c"], &[("a", "b", plain), ("b", "c", plain), ("a", "c", plain)]);
    let Some(mut bed) = Bed::new(&ring).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(1, "a"), (2, "b"), (3, "c")]).await;
    for (port, dc) in [(1, "a"), (2, "b"), (3, "c")] {
        let name = format!("c{port}");
        bed.container(&name);
        bed.attach(&instance, &plug(port, dc, &name, &format!("10.0.0.{port}/24"), &[1])).await;
    }
    bed.reaches("c1", "10.0.0.3");
    ["c1", "c2", "c3"].iter().for_each(|name| bed.silence(name));
    let listener = bed.netns("c3");
    let before = received(&listener);
    for _ in 0..5 {
        send_frame(&bed.netns("c1"), "ffffffffffff", "88b5");
    }
    assert_eq!(received_in_the_end(&listener, before + 5), before + 5, "{}", bed.describe());
}

#[tokio::test]
async fn data_centers_answer_nothing_to_their_containers() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(1, "dc1"), (2, "dc2")]).await;
    bed.container("c1");
    bed.attach(&instance, &plug(1, "dc1", "c1", "100.64.0.9/10", &[1])).await;
    let c1 = bed.netns("c1");
    for address in ["100.64.0.1", "100.64.0.2", "127.0.0.1"] {
        let asked = Command::new("ip")
            .args(["netns", "exec", &c1, "ping", "-n", "-c", "1", "-W", "1", "-I", "data", address])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert!(!asked.success(), "{address} answers\n{}", bed.describe());
    }
}

#[tokio::test]
async fn an_e_lan_of_two_ends_needs_no_bridge_and_one_of_three_does() {
    let Some(bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(1, "dc1"), (2, "dc1")]).await;
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), Vec::<String>::new());
    bed.ensure(&instance, 2, SegmentKind::ELan, &[(3, "dc1"), (4, "dc1"), (5, "dc1")]).await;
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), ["s2"]);
}
