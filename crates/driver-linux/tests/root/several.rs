//! One interface on several links at once, of all kinds, within and across data centers.

use std::collections::BTreeMap;

use llcm_names::MacAddr;
use llcm_runtime::{NetworkDriver, SegmentKind, TreeRole};

use crate::bed::{Bed, E_LINE, Plug, line};
use crate::sniff::{Sniffer, numbered, send, stop_all};

const TREE: u32 = 3;

/// A hub in dc1 that is on an E-Line, an E-LAN and, as a leaf, on an E-Tree. Container `cN` has port N.
async fn hub(bed: &mut Bed, far: &str) {
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, far)]).await;
    bed.ensure(&instance, 2, SegmentKind::ELan, &[(1, "dc1"), (3, far), (4, "dc2")]).await;
    let (root, leaf) = (TreeRole::Root, TreeRole::Leaf);
    let ends = [(5, far, root), (1, "dc1", leaf), (6, far, leaf), (7, "dc1", leaf)];
    let tree = bed.segment(&instance, TREE, SegmentKind::ETree, &ends);
    bed.network().ensure_segment(&tree).await.unwrap();
    let ports: [(u32, &str, &[u32]); 7] = [
        (1, "dc1", &[1, 2, 3]),
        (2, far, &[1]),
        (3, far, &[2]),
        (4, "dc2", &[2]),
        (5, far, &[3]),
        (6, far, &[3]),
        (7, "dc1", &[3]),
    ];
    for (port, dc, segments) in ports {
        let name = format!("c{port}");
        bed.container(&name);
        let address = format!("10.0.0.{port}/24");
        let plug = Plug { port, dc, container: &name, ifname: "data", address: &address, segments };
        bed.attach(&bed.instance(0), &plug).await;
    }
}

fn mac(bed: &Bed, container: &str) -> [u8; 6] {
    MacAddr::derive(bed.instance(0).owner.instance, &format!("{container}:data")).octets()
}

fn frame(number: u16, to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    let mut frame = Vec::from(to);
    frame.extend(from);
    frame.extend([0x88, 0xb5]);
    frame.extend([0; 46]);
    numbered(number, &frame)
}

async fn check(far: &str) {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    hub(&mut bed, far).await;
    for (from, reached) in [
        // Each link's members, and nobody of another link.
        (1, &[2, 3, 4, 5][..]),
        (2, &[1]),
        (3, &[1, 4]),
        (4, &[1, 3]),
        (5, &[1, 6, 7]),
        (6, &[5]),
        (7, &[5]),
    ] {
        for to in (1..=7).filter(|to| *to != from) {
            let (name, address) = (format!("c{from}"), format!("10.0.0.{to}"));
            if reached.contains(&to) {
                bed.reaches(&name, &address);
            } else {
                bed.not_reaches(&name, &address);
            }
        }
    }
    // Broadcast, unknown and known receivers: once at everybody who is to hear it, never anywhere else.
    let sniffers = [2, 3, 4, 5, 6, 7].map(|port| Sniffer::start(&bed.netns(&format!("c{port}"))));
    let own = mac(&bed, "c1");
    let unknown = [2, 0, 0, 0, 0, 0x99];
    let known = [3, 5].map(|port| mac(&bed, &format!("c{port}")));
    let frames =
        [[0xff; 6], unknown, known[0], known[1]].into_iter().zip(0..).map(|(to, n)| frame(n, to, own));
    send(&bed.netns("c1"), &frames.collect::<Vec<_>>());
    let heard: BTreeMap<u32, _> = (2..=7).zip(stop_all(sniffers)).collect();
    let flooded = BTreeMap::from([(0, 1), (1, 1)]);
    for (port, known) in [(2, None), (3, Some(2)), (4, None), (5, Some(3))] {
        let mut expected = flooded.clone();
        expected.extend(known.map(|number| (number, 1)));
        assert_eq!(heard[&port], expected, "c{port}, {far}\n{}", bed.describe());
    }
    for leaf in [6, 7] {
        assert_eq!(heard[&leaf], BTreeMap::new(), "c{leaf}, another leaf, {far}");
    }
}

#[tokio::test]
async fn within_a_data_center_and_beside_it() {
    check("dc1").await;
}

#[tokio::test]
async fn across_two_hops() {
    check("dc3").await;
}
