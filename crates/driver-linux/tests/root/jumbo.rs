//! IP packets of 9000 bytes, whole, over two hops.

use llcm_names::PortId;
use llcm_runtime::{ChainEnd, ChainSpec, NetworkDriver, SegmentKind};

use crate::bed::{Bed, E_LINE, Plug, dc, exec, exec_ok, line};

/// Bytes of an echo request's data in an IPv4 packet of 9000.
const WHOLE: &str = "8972";
/// One more.
const TOO_LARGE: &str = "8973";

/// Attaches a container whose interface takes packets of 9000 bytes.
async fn attach(bed: &mut Bed, port: u32, site: &str, segments: &[u32]) -> String {
    let name = format!("c{port}");
    bed.container(&name);
    let address = format!("10.0.0.{port}/24");
    let plug = Plug { port, dc: site, container: &name, ifname: "data", address: &address, segments };
    let mut spec = bed.port(&bed.instance(0), &plug);
    spec.mtu = 9000;
    bed.network().attach(&spec, &bed.point(&name)).await.unwrap();
    name
}

/// Whether an echo request with so much data, which must not be cut into fragments, is answered.
fn pings(bed: &Bed, from: &str, to: u32, size: &str) -> bool {
    let to = format!("10.0.0.{to}");
    let argv = ["ping", "-n", "-M", "do", "-s", size, "-c", "2", "-i", "0.2", "-W", "20", &to];
    exec(&bed.netns(from), &argv).status.success()
}

/// What the underlay of a data center has cut or put together.
fn fragments(bed: &Bed, site: &str) -> Vec<u64> {
    let snmp = exec_ok(&format!("{}.ul", bed.dc_netns(site)), &["cat", "/proc/net/snmp"]);
    let mut lines = snmp.lines().filter(|line| line.starts_with("Ip:"));
    let (names, values) = (lines.next().unwrap().split(' '), lines.next().unwrap().split(' '));
    let wanted = ["ReasmReqds", "FragOKs", "FragFails", "FragCreates"];
    let found = names.zip(values).filter(|(name, _)| wanted.contains(name));
    let found: Vec<u64> = found.map(|(_, value)| value.parse().unwrap()).collect();
    assert_eq!(found.len(), wanted.len(), "{snmp}");
    found
}

#[tokio::test]
async fn whole_packets_of_9000_bytes_cross_two_hops() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc3")]).await;
    bed.ensure(&instance, 2, SegmentKind::ELan, &[(3, "dc1"), (4, "dc2"), (5, "dc3")]).await;
    for (port, site, segment) in [(1, "dc1", 1), (2, "dc3", 1), (3, "dc1", 2), (4, "dc2", 2), (5, "dc3", 2)] {
        attach(&mut bed, port, site, &[segment]).await;
    }
    attach(&mut bed, 6, "dc1", &[]).await;
    attach(&mut bed, 7, "dc3", &[]).await;
    let end = |port, site| ChainEnd { port: PortId::new(port), datacenter: dc(site) };
    let chain = ChainSpec {
        owner: instance.owner.clone(),
        id: crate::bed::segment_id(3),
        group: instance.group,
        source: end(6, "dc1"),
        destination: end(7, "dc3"),
        bidirectional: true,
        matches: "".parse().unwrap(),
        priority: 1,
    };
    bed.network().chains().unwrap().ensure_chain(&chain).await.unwrap();
    for (what, from, to) in [("E-Line", "c1", 2), ("E-LAN", "c3", 5), ("E-LAN", "c4", 3), ("chain", "c6", 7)]
    {
        bed.reaches(from, &format!("10.0.0.{to}"));
        assert!(pings(&bed, from, to, WHOLE), "{what}: {from} to {to}\n{}", bed.describe());
        assert!(!pings(&bed, from, to, TOO_LARGE), "{what}: the interface says 9000");
    }
    for site in ["dc1", "dc2", "dc3"] {
        assert_eq!(fragments(&bed, site), [0, 0, 0, 0], "{site}");
    }
}
