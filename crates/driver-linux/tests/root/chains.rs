//! Chains in the kernel: which frames they take, and that nothing is lost when they come and go.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use llcm_names::PortId;
use llcm_runtime::{ChainEnd, ChainSpec, FrameMatch, NetworkDriver, SegmentKind};
use llcm_topology::LinkProperties;

use crate::bed::{Bed, E_LINE, Instance, Plug, dc, exec_ok, line, namespaces, segment_id, topology};
use crate::sniff::{Sniffer, numbered, send, stop_all};

fn chain(instance: &Instance, id: u32, from: (u32, &str), to: (u32, &str), matches: &str) -> ChainSpec {
    let end = |(port, name): (u32, &str)| ChainEnd { port: PortId::new(port), datacenter: dc(name) };
    ChainSpec {
        owner: instance.owner.clone(),
        id: segment_id(id),
        group: instance.group,
        source: end(from),
        destination: end(to),
        bidirectional: false,
        matches: matches.parse().unwrap(),
        priority: 1000,
    }
}

async fn attach(bed: &mut Bed, port: u32, dc: &str, name: &str, segments: &[u32]) {
    bed.container(name);
    let address = format!("10.0.0.{port}/24");
    let plug = Plug { port, dc, container: name, ifname: "data", address: &address, segments };
    bed.attach(&bed.instance(0), &plug).await;
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    frame.extend(kind.to_be_bytes());
    frame.extend(payload);
    frame
}

/// IPv4 with so many words of header, a fragment's offset, a protocol, and ports 1000 and 80.
fn ipv4(words: u8, fragment: u16, protocol: u8) -> Vec<u8> {
    let mut packet = vec![0x40 | words, 0, 0, 60, 0, 0];
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 77, 10, 0, 1, 78]);
    packet.resize(usize::from(words) * 4, 1);
    packet.extend([3, 232, 0, 80, 0, 0, 0, 0]);
    packet
}

/// Frames of many kinds.
fn frames() -> Vec<Vec<u8>> {
    let mut six = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
    six.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    six.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    six.extend([3, 232, 0, 80, 0, 8, 0, 0]);
    let mut arp = vec![0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 77];
    arp.extend([0, 0, 0, 0, 0, 0, 10, 0, 1, 78]);
    let mut tagged = vec![0, 7, 8, 0];
    tagged.extend(ipv4(5, 0, 6));
    let mut broadcast = ethernet(0x88b5, &[0; 46]);
    broadcast[..6].fill(0xff);
    let mut all = vec![
        ethernet(0x0800, &ipv4(5, 0, 6)),
        ethernet(0x0800, &ipv4(6, 0, 6)),
        ethernet(0x0800, &ipv4(15, 0, 6)),
        ethernet(0x0800, &ipv4(5, 0x2001, 6)),
        ethernet(0x0800, &ipv4(5, 0, 17)),
        ethernet(0x0800, &ipv4(5, 0, 1)),
        ethernet(0x0806, &arp),
        ethernet(0x86dd, &six),
        ethernet(0x8100, &tagged),
        ethernet(0x88cc, &[]),
        broadcast,
    ];
    for (number, frame) in (0..).zip(&mut all) {
        *frame = numbered(number, frame);
    }
    all
}

const MATCHES: &[&str] = &[
    "",
    "dl_type=0x0800",
    "dl_type=0x0806,nw_src=10.0.0.77,nw_dst=10.0.1.0/24",
    "dl_type=0x0800,nw_proto=6,tp_dst=80",
    "dl_type=0x0800,nw_proto=17,tp_src=1000",
    "dl_type=0x0800,nw_src=10.0.0.0/25,nw_dst=10.0.1.78",
    "dl_type=0x86dd,nw_proto=17,ipv6_dst=fd00::2,tp_dst=80",
    "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00",
    "dl_src=02:00:00:00:00:01,dl_type=0x88cc",
    "dl_type=0x0800,nw_src=10.9.0.0/16",
];

/// What matches arrives at the chain's end once, the rest where it went before once, and nothing at both; on a patch and
/// on a bridge, to the same data center and to one two hops away.
#[tokio::test]
async fn each_frame_goes_where_the_match_says() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc2")]).await;
    bed.ensure(&instance, 2, SegmentKind::ELan, &[(11, "dc1"), (12, "dc1"), (13, "dc2")]).await;
    attach(&mut bed, 1, "dc1", "patched", &[1]).await;
    attach(&mut bed, 2, "dc2", "line", &[1]).await;
    attach(&mut bed, 11, "dc1", "bridged", &[2]).await;
    attach(&mut bed, 12, "dc1", "lan", &[2]).await;
    attach(&mut bed, 21, "dc1", "near", &[]).await;
    attach(&mut bed, 22, "dc3", "far", &[]).await;
    let frames = frames();
    // The way over two hops is known before anything is counted: the first packet of all asks who is there.
    let spec = ChainSpec { bidirectional: true, ..chain(&instance, 9, (1, "dc1"), (22, "dc3"), "") };
    bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
    bed.reaches("patched", "10.0.0.22");
    bed.network().chains().unwrap().remove_chain(&instance.owner, spec.id).await.unwrap();
    for (from, source, usual) in [("patched", 1, "line"), ("bridged", 11, "lan")] {
        for (to, destination) in [("near", (21, "dc1")), ("far", (22, "dc3"))] {
            // All of them where it is quickest: what is taken does not depend on where it goes.
            let matches = if (from, to) == ("patched", "near") { MATCHES } else { &MATCHES[..4] };
            for text in matches {
                let spec = chain(&instance, 9, (source, "dc1"), destination, text);
                bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
                let [chained, rest] = [to, usual].map(|name| Sniffer::start(&bed.netns(name)));
                send(&bed.netns(from), &frames);
                let [chained, rest] = stop_all([chained, rest]);
                let matches: FrameMatch = text.parse().unwrap();
                let numbered = (0_u16..).zip(&frames);
                let (taken, left): (Vec<_>, Vec<_>) = numbered.partition(|(_, frame)| matches.admits(frame));
                let once = |of: Vec<(u16, _)>| {
                    of.into_iter().map(|(number, _)| (number, 1)).collect::<BTreeMap<_, _>>()
                };
                assert_eq!(chained, once(taken), "{from} to {to}: {text}\n{}", bed.describe());
                assert_eq!(rest, once(left), "{from} past {to}: {text}");
                bed.network().chains().unwrap().remove_chain(&instance.owner, spec.id).await.unwrap();
            }
        }
    }
}

/// Of a ping over an E-Line no packet is lost while chains come and go that take it the same way, or do not take it.
#[tokio::test]
async fn nothing_is_lost_when_chains_come_and_go() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc3")]).await;
    attach(&mut bed, 1, "dc1", "a", &[1]).await;
    attach(&mut bed, 2, "dc3", "b", &[1]).await;
    bed.reaches("a", "10.0.0.2");
    let specs = [
        ChainSpec {
            bidirectional: true,
            ..chain(&instance, 8, (1, "dc1"), (2, "dc3"), "dl_type=0x0800,nw_proto=1")
        },
        ChainSpec {
            bidirectional: true,
            ..chain(&instance, 9, (1, "dc1"), (2, "dc3"), "dl_type=0x0800,nw_proto=6,tp_dst=80")
        },
    ];
    let netns = bed.netns("a");
    let ping = "netns exec NETNS ping -n -q -i 0.002 -c 1500 -W 20 10.0.0.2".replace("NETNS", &netns);
    let mut rounds = 0;
    // A busy machine has done few when the first pings are over.
    while rounds < 4 {
        let mut ping = Command::new("ip").args(ping.split(' ')).stdout(Stdio::piped()).spawn().unwrap();
        while ping.try_wait().unwrap().is_none() {
            let chains = bed.network().chains().unwrap();
            for spec in &specs {
                chains.ensure_chain(spec).await.unwrap();
            }
            for spec in &specs {
                chains.remove_chain(&instance.owner, spec.id).await.unwrap();
            }
            rounds += 1;
        }
        let said = String::from_utf8(ping.wait_with_output().unwrap().stdout).unwrap();
        assert!(said.contains("1500 received"), "{rounds} rounds: {said}");
    }
}

/// An E-Line that a program made before there were chains: its filter has the priority that those of chains have now.
#[tokio::test]
async fn filters_of_earlier_programs_are_replaced() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc1")]).await;
    attach(&mut bed, 1, "dc1", "a", &[1]).await;
    attach(&mut bed, 2, "dc1", "b", &[1]).await;
    let netns = bed.dc_netns("dc1");
    for (device, target) in [("p1", "p2"), ("p2", "p1")] {
        exec_ok(&netns, &["tc", "filter", "del", "dev", device, "ingress"]);
        let add = format!(
            "filter add dev {device} ingress prio 1 protocol all u32 match u32 0 0 action mirred egress redirect dev {target}"
        );
        let words: Vec<&str> = std::iter::once("tc").chain(add.split(' ')).collect();
        exec_ok(&netns, &words);
    }
    bed.restart();
    bed.reaches("a", "10.0.0.2");
    // The other end starts anew: what led to the old one goes.
    bed.kill("b");
    attach(&mut bed, 2, "dc1", "b", &[1]).await;
    bed.reaches("a", "10.0.0.2");
    let shown = exec_ok(&netns, &["tc", "filter", "show", "dev", "p1", "ingress"]);
    assert!(shown.contains("pref 10000 u32") && !shown.contains("pref 1 u32"), "{shown}");
    let spec = ChainSpec { bidirectional: true, ..chain(&instance, 9, (1, "dc1"), (2, "dc1"), "") };
    bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
    bed.reaches("a", "10.0.0.2");
    let shown = exec_ok(&netns, &["tc", "filter", "show", "dev", "p1", "ingress"]);
    assert!(shown.contains("pref 10000 u32") && shown.contains("pref 1 u32"), "{shown}");
}

/// A chain goes with its instance, devices and filters, and its record outlives the program.
#[tokio::test]
async fn a_chain_leaves_nothing() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    attach(&mut bed, 1, "dc1", "a", &[]).await;
    attach(&mut bed, 2, "dc3", "b", &[]).await;
    let spec = ChainSpec { bidirectional: true, ..chain(&instance, 9, (1, "dc1"), (2, "dc3"), "") };
    bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
    assert!(bed.devices(&bed.dc_netns("dc1")).contains(&"v9".to_owned()));
    bed.reaches("a", "10.0.0.2");
    bed.restart();
    bed.network().prepare(&line()).await.unwrap();
    bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
    bed.reaches("a", "10.0.0.2");
    bed.network().chains().unwrap().remove_chain(&instance.owner, spec.id).await.unwrap();
    bed.not_reaches("a", "10.0.0.2");
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), ["p1"]);
    let shown = exec_ok(&bed.dc_netns("dc1"), &["tc", "filter", "show", "dev", "p1", "ingress"]);
    assert_eq!(shown.trim(), "");
    bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
    bed.network().remove_instance(&instance.owner).await.unwrap();
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), Vec::<String>::new());
    let records = bed.run_dir().join(bed.id.as_str()).join("chains");
    assert_eq!(std::fs::read_dir(records).unwrap().count(), 0);
}

/// What a kill leaves of a chain whose record was written, or of one whose filters were removed already: neither
/// filters nor, across data centers, tunnels. Asked for again, both chains are whole.
#[tokio::test]
async fn what_a_kill_left_of_a_chain_is_completed() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    for (port, dc, name) in [(1, "dc1", "a"), (2, "dc1", "b"), (3, "dc1", "c"), (4, "dc3", "d")] {
        attach(&mut bed, port, dc, name, &[]).await;
    }
    let records = bed.run_dir().join(bed.id.as_str()).join("chains");
    for (id, source, destination, from, to) in
        [(8, (1, "dc1"), (2, "dc1"), "a", "10.0.0.2"), (9, (3, "dc1"), (4, "dc3"), "c", "10.0.0.4")]
    {
        let spec = ChainSpec { bidirectional: true, ..chain(&instance, id, source, destination, "") };
        std::fs::write(records.join(format!("{id:x}.json")), serde_json::to_vec(&spec).unwrap()).unwrap();
        bed.restart();
        bed.network().prepare(&line()).await.unwrap();
        bed.not_reaches(from, to);
        bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
        bed.reaches(from, to);
    }
}

/// A server is started with a topology that lacks a data center, then with it again: what segments and chains had there
/// is made anew, with the data center.
#[tokio::test]
async fn links_to_a_data_center_that_is_made_anew_are_made_anew() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc3")]).await;
    bed.ensure(&instance, 2, SegmentKind::ELan, &[(11, "dc1"), (12, "dc2"), (13, "dc3")]).await;
    for (port, dc, name, segments) in [
        (1, "dc1", "line-near", &[1][..]),
        (2, "dc3", "line-far", &[1]),
        (11, "dc1", "lan-near", &[2]),
        (12, "dc2", "lan-next", &[2]),
        (13, "dc3", "lan-far", &[2]),
        (21, "dc1", "chain-near", &[]),
        (22, "dc3", "chain-far", &[]),
    ] {
        attach(&mut bed, port, dc, name, segments).await;
    }
    let spec = ChainSpec { bidirectional: true, ..chain(&instance, 9, (21, "dc1"), (22, "dc3"), "") };
    bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
    let ways = [("line-near", "10.0.0.2"), ("lan-near", "10.0.0.13"), ("chain-near", "10.0.0.22")];
    ways.iter().for_each(|(from, to)| bed.reaches(from, to));
    let plain = LinkProperties::default();
    bed.restart();
    bed.network().prepare(&topology(&["dc1", "dc2"], &[("dc1", "dc2", plain)])).await.unwrap();
    ways.iter().for_each(|(from, to)| bed.not_reaches(from, to));
    bed.reaches("lan-near", "10.0.0.12");
    // The data center may get another address than it had.
    let more = topology(
        &["dc0", "dc1", "dc2", "dc3"],
        &[("dc0", "dc1", plain), ("dc1", "dc2", plain), ("dc2", "dc3", plain)],
    );
    // The first attempt fails once the data center is there, as it may be killed then: the next one makes up for it.
    let mut refused = more.clone();
    refused.links[0].a.egress.mtu = Some(1);
    bed.restart();
    bed.network().prepare(&refused).await.unwrap_err();
    let made = bed.dc_netns("dc3");
    assert!(namespaces(&made).contains(&made));
    bed.restart();
    bed.network().prepare(&more).await.unwrap();
    let of_far = [(2, "line-far", &[1][..]), (13, "lan-far", &[2]), (22, "chain-far", &[])];
    for (port, name, segments) in of_far {
        let address = format!("10.0.0.{port}/24");
        let plug = Plug { port, dc: "dc3", container: name, ifname: "data", address: &address, segments };
        bed.attach(&instance, &plug).await;
    }
    ways.iter().for_each(|(from, to)| bed.reaches(from, to));
    bed.reaches("lan-far", "10.0.0.12");
    let entries = exec_ok(&bed.dc_netns("dc1"), &["bridge", "fdb", "show"]);
    assert!(entries.contains("dst 100.64.0.4 ") && !entries.contains("dst 100.64.0.3 "), "{entries}");
}
