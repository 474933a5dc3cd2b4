//! E-Trees: leaves reach roots, and never each other.

use llcm_runtime::{NetworkDriver, SegmentKind, TreeRole};

use crate::bed::{Bed, Plug, line, single};

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
    let count = |name: &str| -> u64 {
        let path = "/sys/class/net/data/statistics/rx_packets";
        crate::bed::exec_ok(&bed.netns(name), &["cat", path]).trim().parse().unwrap()
    };
    let names = ["c2", "c3", "c4"];
    let before = names.map(count);
    let script = "import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('data', 0))\n\
                  s.send(b'\\xff' * 6 + bytes.fromhex('02000000000188b5') + bytes(46))";
    crate::bed::exec_ok(&bed.netns("c1"), &["python3", "-c", script]);
    let after = names.map(count);
    assert_eq!(after, [before[0] + 1, before[1] + 1, before[2]], "{}", bed.describe());
}
