//! E-Trees: leaves reach roots, and never each other.

use llcm_runtime::{NetworkDriver, SegmentKind, TreeRole};

use crate::bed::{Bed, Plug, line, single};
use crate::segments::{received, received_in_the_end};

/// Attaches ends of (port, data center, role), all on one E-Tree.
async fn plant(bed: &mut Bed, ends: &[(u32, &str, TreeRole)]) {
    let instance = bed.instance(0);
    let spec = bed.segment(&instance, 5, SegmentKind::ETree, ends);
    bed.network().ensure_segment(&spec).await.unwrap();
    for (port, dc, _) in ends {
        let name = format!("c{port}");
        bed.container(&name);
        let address = format!("10.0.0.{port}/24");
        let plug =
            Plug { port: *port, dc, container: &name, ifname: "data", address: &address, segments: &[5] };
        bed.attach(&instance, &plug).await;
    }
}

/// Plants a tree and checks who reaches whom.
async fn check(bed: &mut Bed, ends: &[(u32, &str, TreeRole)]) {
    plant(bed, ends).await;
    for (from, _, from_role) in ends {
        for (to, _, to_role) in ends.iter().filter(|(to, ..)| to != from) {
            let (name, address) = (format!("c{from}"), format!("10.0.0.{to}"));
            if *from_role == TreeRole::Leaf && *to_role == TreeRole::Leaf {
                bed.not_reaches(&name, &address);
            } else {
                bed.reaches(&name, &address);
            }
        }
    }
}

#[tokio::test]
async fn within_a_data_center() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let ends = [
        (1, "dc1", TreeRole::Root),
        (2, "dc1", TreeRole::Leaf),
        (3, "dc1", TreeRole::Leaf),
        (4, "dc1", TreeRole::Root),
    ];
    check(&mut bed, &ends).await;
}

#[tokio::test]
async fn across_data_centers() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let ends = [
        (1, "dc1", TreeRole::Root),
        (2, "dc1", TreeRole::Leaf),
        (3, "dc2", TreeRole::Leaf),
        (4, "dc3", TreeRole::Root),
        (5, "dc3", TreeRole::Leaf),
    ];
    check(&mut bed, &ends).await;
}

#[tokio::test]
async fn frames_of_leaves_arrive_once_at_each_root() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let ends = [
        (1, "dc1", TreeRole::Leaf),
        (2, "dc2", TreeRole::Root),
        (3, "dc3", TreeRole::Root),
        (4, "dc3", TreeRole::Leaf),
    ];
    plant(&mut bed, &ends).await;
    let names = ["c2", "c3", "c4"].map(|name| bed.netns(name));
    let before = names.each_ref().map(|name| received(name));
    let script = "import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('data', 0))\n\
                  s.send(b'\\xff' * 6 + bytes.fromhex('02000000000188b5') + bytes(46))";
    crate::bed::exec_ok(&bed.netns("c1"), &["python3", "-c", script]);
    let wanted = [before[0] + 1, before[1] + 1, before[2]];
    let after = [0, 1, 2].map(|index| received_in_the_end(&names[index], wanted[index]));
    assert_eq!(after, wanted, "{}", bed.describe());
}

/// Whatever a leaf sends, no other leaf hears: to all, to groups, to receivers that nobody knows and to those that
/// everybody knows. Roots hear it once, but for what is for another root alone.
#[tokio::test]
async fn no_frame_of_a_leaf_gets_to_another() {
    use crate::sniff::{Sniffer, numbered, send, stop_all};
    use llcm_names::MacAddr;
    use std::collections::BTreeMap;

    let Some(mut bed) = Bed::new(&line()).await else { return };
    let ends = [
        (1, "dc1", TreeRole::Root),
        (2, "dc1", TreeRole::Leaf),
        (3, "dc1", TreeRole::Leaf),
        (4, "dc2", TreeRole::Leaf),
        (5, "dc3", TreeRole::Root),
        (6, "dc3", TreeRole::Leaf),
    ];
    plant(&mut bed, &ends).await;
    let instance = bed.instance(0);
    let mac = |port: u32| MacAddr::derive(instance.owner.instance, &format!("c{port}:data")).octets();
    // Everybody is known to everybody's bridge.
    for (port, ..) in ends.iter().skip(1) {
        bed.reaches("c1", &format!("10.0.0.{port}"));
    }
    let leaves = [2, 3, 4, 6];
    for from in leaves {
        let mut receivers =
            vec![[0xff; 6], [1, 0, 0x5e, 0, 0, 1], [0x33, 0x33, 0, 0, 0, 1], [2, 0, 0, 0, 0, 0x99]];
        let (groups, roots) = (0..4, [4, 5]);
        receivers.extend([mac(1), mac(5)]);
        receivers.extend(leaves.into_iter().filter(|leaf| *leaf != from).map(mac));
        let frames: Vec<_> = (0..)
            .zip(&receivers)
            .map(|(number, to)| {
                let mut frame = Vec::from(*to);
                frame.extend(mac(from));
                frame.extend([0x88, 0xb5]);
                frame.extend([0; 46]);
                numbered(number, &frame)
            })
            .collect();
        let others: Vec<u32> = (1..=6).filter(|port| *port != from).collect();
        let others: [u32; 5] = others.try_into().unwrap();
        let sniffers = others.map(|port| Sniffer::start(&bed.netns(&format!("c{port}"))));
        send(&bed.netns(&format!("c{from}")), &frames);
        let heard: BTreeMap<_, _> = others.into_iter().zip(stop_all(sniffers)).collect();
        for leaf in leaves.into_iter().filter(|leaf| *leaf != from) {
            assert_eq!(heard[&leaf], BTreeMap::new(), "c{from} to c{leaf}\n{}", bed.describe());
        }
        for (root, own) in [1, 5].into_iter().zip(roots) {
            let seen = &heard[&root];
            assert!(
                groups.clone().chain([own]).all(|number| seen.get(&number) == Some(&1)),
                "c{from}: {seen:?}"
            );
            assert!(seen.values().all(|count| *count == 1), "twice: c{from} to c{root}: {seen:?}");
        }
    }
}
