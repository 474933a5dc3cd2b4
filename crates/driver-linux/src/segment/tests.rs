//! On the real kernel, as root; skipped with a message elsewhere, a failure with `LLCM_REQUIRE_SYSTEM_TESTS=1`.

use llcm_names::{DcName, InstallationId, InstanceId, LinkGroup, PortId};
use llcm_runtime::SegmentEnd;
use uuid::Uuid;

use super::*;
use crate::driver::Options;
use crate::installation::Installation;

fn line(installation: &InstallationId, id: u32) -> SegmentSpec {
    let end = |port: u32, dc: &str| SegmentEnd {
        port: PortId::new(port),
        datacenter: DcName::parse(dc).unwrap(),
        role: TreeRole::Root,
    };
    SegmentSpec {
        owner: Owner { installation: installation.clone(), instance: InstanceId::new(Uuid::from_u128(1)) },
        id: SegmentId::try_from(id).unwrap(),
        group: LinkGroup::try_from(1).unwrap(),
        kind: SegmentKind::ELine { bidirectional: true },
        ends: vec![end(id * 2, "dc1"), end(id * 2 + 1, "dc2")],
    }
}

/// Runs work with an installation of two data centers, which is taken down whatever comes of it.
fn with_two(number: u32, work: impl FnOnce(&Installation, &llcm_topology::Topology)) {
    if !crate::tests::is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let id = InstallationId::from_bits(0xf0f0_0000 | number << 16 | std::process::id() & 0xffff);
    let options = Options { run_dir: dir.path().to_owned(), ..Options::default() };
    let installation = Installation::open(id, options).unwrap();
    let topology = llcm_topology::load(b"datacenters: [dc1, dc2]\nlinks: [[dc1, dc2]]\n").0.unwrap();
    installation.prepare(&topology).unwrap();
    let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&installation, &topology)));
    installation.teardown().unwrap();
    seen.unwrap();
}

/// No kernel at hand has netem, which needs this: what is shown is that tunnels do it when told.
#[test]
fn frames_are_cut_before_all_tunnels_or_none() {
    with_two(0, |installation, topology| {
        let id = &installation.id;
        let datacenters = installation.all_datacenters().unwrap();
        let segments = |number: u32| -> Vec<u32> {
            let name = vxlan(SegmentId::try_from(number).unwrap());
            let of = |dc: &std::sync::Arc<Datacenter>| find(dc, &name, &line(id, 1).owner).unwrap().unwrap();
            datacenters.values().map(|dc| of(dc).gso_max_segs).collect()
        };
        installation.ensure_segment(&line(id, 1)).unwrap();
        assert_eq!(segments(1), [link::MANY_PACKETS; 2]);
        cut_frames(&datacenters, true, false).unwrap();
        installation.ensure_segment(&line(id, 2)).unwrap();
        assert_eq!((segments(1), segments(2)), (vec![1, 1], vec![1, 1]));
        // A topology whose links do not need it, which is all of them here.
        installation.prepare(topology).unwrap();
        assert_eq!((segments(1), segments(2)), (vec![link::MANY_PACKETS; 2], vec![link::MANY_PACKETS; 2]));
    });
}

#[test]
fn tunnels_may_go_while_they_are_told_to_cut_frames() {
    with_two(1, |installation, _| {
        let datacenters = installation.all_datacenters().unwrap();
        let segments: Vec<_> = (1..=60).map(|number| line(&installation.id, number)).collect();
        for _ in 0..4 {
            for segment in &segments {
                installation.ensure_segment(segment).unwrap();
            }
            std::thread::scope(|scope| {
                let removing = scope.spawn(|| installation.remove_instance(&segments[0].owner));
                let mut cuts = false;
                while !removing.is_finished() {
                    cuts = !cuts;
                    cut_frames(&datacenters, cuts, true).unwrap();
                }
                removing.join().unwrap().unwrap();
            });
        }
    });
}
