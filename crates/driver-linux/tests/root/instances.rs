//! Instances and whole installations: listing, removing, restarting, and what is not ours.

use llcm_names::PortId;
use llcm_runtime::{ErrorKind, NetworkDriver, NetworkObject, SegmentKind, TreeRole};

use crate::bed::{Bed, E_LINE, Instance, Plug, dc, line, namespaces, open, run, segment_id, single};

/// An instance with an E-Line within dc1, one from dc1 to dc3, an E-LAN over all three, and a port on two
/// segments.
async fn populate(bed: &mut Bed, number: u32) -> Instance {
    let instance = bed.instance(number);
    let id = |n: u32| number * 100 + n;
    bed.ensure(&instance, id(1), E_LINE, &[(id(1), "dc1"), (id(2), "dc1")]).await;
    bed.ensure(&instance, id(2), E_LINE, &[(id(3), "dc1"), (id(4), "dc3")]).await;
    let lan = [(id(5), "dc1"), (id(6), "dc2"), (id(7), "dc3"), (id(1), "dc1")];
    bed.ensure(&instance, id(3), SegmentKind::ELan, &lan).await;
    let plugs = [
        (1, "dc1", vec![id(1), id(3)]),
        (2, "dc1", vec![id(1)]),
        (3, "dc1", vec![id(2)]),
        (4, "dc3", vec![id(2)]),
        (5, "dc1", vec![id(3)]),
        (6, "dc2", vec![id(3)]),
        (7, "dc3", vec![id(3)]),
    ];
    for (port, dc, segments) in plugs {
        let container = format!("i{number}c{port}");
        bed.container(&container);
        let address = format!("10.0.0.{port}/24");
        let plug = Plug {
            port: id(port),
            dc,
            container: &container,
            ifname: "data",
            address: &address,
            segments: &segments,
        };
        bed.attach(&instance, &plug).await;
    }
    instance
}

fn check_populated(bed: &Bed, number: u32) {
    for (from, to) in [(1, 2), (3, 4), (5, 6), (6, 7), (1, 7)] {
        bed.reaches(&format!("i{number}c{from}"), &format!("10.0.0.{to}"));
    }
}

async fn owned(bed: &Bed, instance: &Instance) -> Vec<NetworkObject> {
    let all = bed.network().list_owned(&bed.id).await.unwrap();
    all.into_iter().filter(|object| *object.owner() == instance.owner).collect()
}

#[tokio::test]
async fn an_instance_goes_wholly_and_alone() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let first = populate(&mut bed, 0).await;
    let second = populate(&mut bed, 1).await;
    check_populated(&bed, 0);
    check_populated(&bed, 1);
    for _ in 0..2 {
        bed.network().remove_instance(&first.owner).await.unwrap();
    }
    assert_eq!(owned(&bed, &first).await, []);
    for number in 1..=7 {
        assert_eq!(bed.devices(&bed.netns(&format!("i0c{number}"))), Vec::<String>::new());
    }
    check_populated(&bed, 1);
    bed.network().remove_instance(&second.owner).await.unwrap();
    for dc in ["dc1", "dc2", "dc3"] {
        assert_eq!(bed.devices(&bed.dc_netns(dc)), Vec::<String>::new());
    }
    assert_eq!(bed.network().list_owned(&bed.id).await.unwrap(), []);
}

#[tokio::test]
async fn all_is_known_after_a_restart() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = populate(&mut bed, 0).await;
    let before = owned(&bed, &instance).await;
    assert_eq!(before.len(), 10, "{before:?}");
    bed.restart();
    // Without being prepared again: what is there can be listed and used.
    assert_eq!(owned(&bed, &instance).await, before);
    bed.network().prepare(&line()).await.unwrap();
    check_populated(&bed, 0);
    bed.network().detach(&instance.owner, &dc("dc1"), PortId::new(2)).await.unwrap();
    let plug = Plug {
        port: 2,
        dc: "dc1",
        container: "i0c2",
        ifname: "data",
        address: "10.0.0.2/24",
        segments: &[1],
    };
    bed.attach(&instance, &plug).await;
    check_populated(&bed, 0);
    bed.restart();
    bed.network().remove_instance(&instance.owner).await.unwrap();
    assert_eq!(owned(&bed, &instance).await, []);
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), Vec::<String>::new());
}

#[tokio::test]
async fn many_bridges_go_in_parts() {
    let Some(bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    for id in 1..=40 {
        bed.ensure(&instance, id, SegmentKind::ELan, &[0, 1, 2].map(|n| (id * 3 + n, "dc1"))).await;
    }
    assert_eq!(bed.devices(&bed.dc_netns("dc1")).len(), 40);
    bed.network().remove_instance(&instance.owner).await.unwrap();
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_ours_is_not_touched() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(1, "dc1")]).await;
    let netns = bed.container("c1");
    let plug = Plug { port: 1, dc: "dc1", container: "c1", ifname: "data", address: "", segments: &[1] };
    bed.attach(&instance, &plug).await;
    // Of the same group, in the data center; and in the container.
    let group = instance.group.get().to_string();
    let dc1 = bed.dc_netns("dc1");
    run("ip", &["-n", &dc1, "link", "add", "alien", "group", &group, "type", "bridge"]);
    run("ip", &["-n", &netns, "link", "add", "own", "type", "bridge"]);
    bed.network().remove_instance(&instance.owner).await.unwrap();
    assert_eq!(bed.devices(&dc1), ["alien"]);
    assert_eq!(bed.devices(&netns), ["own"]);
}

#[tokio::test]
async fn what_a_crash_left_unmarked_goes_with_the_next_start() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let dc1 = bed.dc_netns("dc1");
    run("ip", &["-n", &dc1, "link", "add", "p99", "group", "5", "type", "veth", "peer", "name", "other"]);
    run("ip", &["-n", &dc1, "link", "add", "s9", "group", "5", "type", "bridge"]);
    run("ip", &["-n", &dc1, "link", "add", "alien", "group", "5", "type", "bridge"]);
    bed.network().prepare(&single()).await.unwrap();
    assert_eq!(bed.devices(&dc1).len(), 4, "prepare of a running program removed what is being made");
    bed.restart();
    bed.network().prepare(&single()).await.unwrap();
    assert_eq!(bed.devices(&dc1), ["alien"]);
}

#[tokio::test]
async fn a_segment_has_one_spec_and_one_owner() {
    let Some(bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    let spec = bed.ensure(&instance, 1, SegmentKind::ELan, &[(1, "dc1")]).await;
    bed.network().ensure_segment(&spec).await.unwrap();
    let mut changed = spec.clone();
    changed.kind = SegmentKind::ETree;
    let mut stolen = spec.clone();
    stolen.owner = bed.instance(1).owner;
    for spec in [&changed, &stolen] {
        let error = bed.network().ensure_segment(spec).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    }
    let error = bed.network().remove_segment(&stolen.owner, segment_id(1)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    let lonely = bed.segment(&instance, 2, E_LINE, &[]);
    let mut foreign = spec.clone();
    foreign.owner.installation = llcm_names::InstallationId::from_bits(0);
    for spec in [&lonely, &foreign] {
        let error = bed.network().ensure_segment(spec).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
    let ends: Vec<_> = (0..1100).map(|port| (port, "dc1", TreeRole::Root)).collect();
    let crowded = bed.segment(&instance, 3, SegmentKind::ELan, &ends);
    let error = bed.network().ensure_segment(&crowded).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn an_installation_has_one_driver() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let error = open(&bed.id, bed.run_dir()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    bed.restart();
}

#[tokio::test]
async fn teardown_leaves_nothing() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    populate(&mut bed, 0).await;
    for _ in 0..2 {
        bed.network().teardown().await.unwrap();
    }
    assert_eq!(namespaces(&format!("llcm-{}", bed.id)), Vec::<String>::new());
    for number in 1..=7 {
        assert_eq!(bed.devices(&bed.netns(&format!("i0c{number}"))), Vec::<String>::new());
    }
    assert_eq!(bed.network().list_owned(&bed.id).await.unwrap(), []);
    // And it can be built again.
    bed.network().prepare(&line()).await.unwrap();
    populate(&mut bed, 1).await;
    check_populated(&bed, 1);
    bed.network().teardown().await.unwrap();
    bed.restart();
    let entries = || std::fs::read_dir(bed.run_dir()).unwrap().count();
    assert_eq!(entries(), 1);
    let run_dir = bed.run_dir().to_owned();
    let id = bed.id.clone();
    bed.close();
    assert_eq!(std::fs::read_dir(&run_dir).unwrap().count(), 0, "run directory of {id} stays");
}
