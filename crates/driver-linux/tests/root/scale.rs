//! Many data centers, many ports: what must be right there, not how long it takes (`scripts/bench network-scale`).

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use llcm_runtime::{NetworkDriver, SegmentKind};
use llcm_testkit::zoo;
use llcm_topology::{Paths, Topology};

use crate::bed::{Bed, E_LINE, Plug, dc, exec_ok, line, run, single, topology};

/// The two data centers of a topology that are furthest apart, and how many hops that are.
fn furthest(topology: &Topology) -> (String, String, usize) {
    let paths = Paths::new(topology);
    let first = &topology.datacenters[0].name;
    let hops = |to: &llcm_names::DcName| paths.between(first, to).unwrap().hops.len();
    let last = topology.datacenters.iter().map(|dc| &dc.name).max_by_key(|name| hops(name)).unwrap();
    (first.to_string(), last.to_string(), hops(last))
}

/// Host routes of all underlays of a bed.
fn routes(bed: &Bed, topology: &Topology) -> Vec<String> {
    let of = |name: &llcm_names::DcName| {
        let shown = run("ip", &["-n", &format!("{}.ul", bed.dc_netns(name.as_str())), "route"]);
        shown.lines().map(|line| format!("{name}: {line}")).collect::<Vec<_>>()
    };
    topology.datacenters.iter().flat_map(|dc| of(&dc.name)).collect()
}

async fn join(bed: &mut Bed, number: u32, sites: [&str; 2]) -> [String; 2] {
    let instance = bed.instance(0);
    let ports = [number * 10, number * 10 + 1];
    bed.ensure(&instance, number, E_LINE, &[(ports[0], sites[0]), (ports[1], sites[1])]).await;
    for (index, dc) in sites.into_iter().enumerate() {
        let name = format!("c{}", ports[index]);
        bed.container(&name);
        let address = format!("10.0.{number}.{}/30", index + 1);
        let plug = Plug {
            port: ports[index],
            dc,
            container: &name,
            ifname: "data",
            address: &address,
            segments: &[number],
        };
        bed.attach(&instance, &plug).await;
    }
    ports.map(|port| format!("c{port}"))
}

#[tokio::test]
async fn routes_are_where_segments_need_them_and_nowhere_else() {
    let topology = zoo(60);
    let Some(mut bed) = Bed::new(&topology).await else { return };
    assert_eq!(routes(&bed, &topology), Vec::<String>::new());
    let (first, last, hops) = furthest(&topology);
    assert!(hops > 4, "{hops}");
    let [near, _] = join(&mut bed, 1, [&first, &last]).await;
    bed.reaches(&near, "10.0.1.2");
    // One for each direction on each data center of the path but its ends, where there is one.
    assert_eq!(routes(&bed, &topology).len(), 2 * hops, "{:#?}", routes(&bed, &topology));
    // The same after a restart, by the segments that are recorded.
    let before = routes(&bed, &topology);
    bed.restart();
    bed.network().prepare(&topology).await.unwrap();
    assert_eq!(routes(&bed, &topology), before);
    bed.reaches(&near, "10.0.1.2");
    // Without segments the next change takes them.
    bed.network().remove_instance(&bed.instance(0).owner).await.unwrap();
    bed.network().prepare(&topology).await.unwrap();
    assert_eq!(routes(&bed, &topology), Vec::<String>::new());
}

#[tokio::test]
async fn a_segment_across_asks_for_the_topology_first() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc3")]).await;
    bed.restart();
    // What was there has its routes; what is new has not.
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc3")]).await;
    let ends = [(3, "dc1", llcm_runtime::TreeRole::Root), (4, "dc2", llcm_runtime::TreeRole::Root)];
    let new = bed.segment(&instance, 2, E_LINE, &ends);
    let error = bed.network().ensure_segment(&new).await.unwrap_err();
    assert!(error.to_string().contains("prepare the topology first"), "{error}");
    bed.network().prepare(&line()).await.unwrap();
    bed.network().ensure_segment(&new).await.unwrap();
}

#[tokio::test]
async fn no_packet_is_lost_while_paths_change() {
    let plain = llcm_topology::LinkProperties::default();
    // A ring of six: from a to d there are two ways of three hops, and with a chord one of two.
    let names = ["a", "b", "c", "d", "e", "f"];
    let ring = [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "a")];
    let with = |links: &[(&'static str, &'static str)]| {
        topology(&names, &links.iter().map(|(a, b)| (*a, *b, plain)).collect::<Vec<_>>())
    };
    let all = with(&ring);
    let upper: Vec<_> = ring.into_iter().filter(|link| *link != ("d", "e")).collect();
    let lower: Vec<_> = ring.into_iter().filter(|link| *link != ("b", "c")).collect();
    let chord: Vec<_> = ring.into_iter().chain([("b", "d")]).collect();
    let Some(mut bed) = Bed::new(&all).await else { return };
    let [from, _] = join(&mut bed, 1, ["a", "d"]).await;
    bed.reaches(&from, "10.0.1.2");
    let pings = 1500;
    let ping = Command::new("ip")
        .args([
            "netns",
            "exec",
            &bed.netns(&from),
            "ping",
            "-n",
            "-q",
            "-i",
            "0.002",
            "-c",
            &pings.to_string(),
        ])
        .args(["-W", "20", "10.0.1.2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // The shortest way is taken away each time: its link is removed while packets flow.
    for _ in 0..5 {
        for links in [&upper[..], &lower, &chord, &ring] {
            bed.network().prepare(&with(links)).await.unwrap();
        }
    }
    let output = String::from_utf8(ping.wait_with_output().unwrap().stdout).unwrap();
    let lost = output.split(", ").find(|part| part.contains("packet loss")).unwrap_or_default();
    assert!(lost.starts_with("0%"), "{output}");
}

#[tokio::test]
async fn two_hundred_data_centers_carry_a_hundred_segments() {
    let topology = zoo(200);
    let Some(mut bed) = Bed::new(&topology).await else { return };
    let instance = bed.instance(0);
    for segment in 1..=100_u32 {
        // Strides that are no divisors of 200, so that the pairs are many.
        let [a, b] = [segment * 7 % 200, segment * 31 % 200 + u32::from(segment * 24 % 200 == 0)];
        let sites = [format!("d{a}"), format!("d{b}")];
        bed.ensure(&instance, segment, E_LINE, &[(segment * 2, &sites[0]), (segment * 2 + 1, &sites[1])])
            .await;
    }
    let [near, far] = [("near", 2, "d7"), ("far", 3, "d31")];
    for ((name, port, dc), address) in [near, far].into_iter().zip(["10.0.0.1/30", "10.0.0.2/30"]) {
        bed.container(name);
        bed.attach(&instance, &Plug { port, dc, container: name, ifname: "data", address, segments: &[1] })
            .await;
    }
    bed.reaches("near", "10.0.0.2");
    let indexes = |bed: &Bed| bed.indexes(&format!("{}.ul", bed.dc_netns("d7")));
    let before = (indexes(&bed), routes(&bed, &topology));
    bed.network().prepare(&topology).await.unwrap();
    assert_eq!((indexes(&bed), routes(&bed, &topology)), before);
    bed.network().remove_instance(&instance.owner).await.unwrap();
    assert_eq!(bed.network().list_owned(&bed.id).await.unwrap(), []);
    bed.network().teardown().await.unwrap();
    assert_eq!(crate::bed::namespaces(&format!("llcm-{}", bed.id)), Vec::<String>::new());
}

#[tokio::test]
async fn a_data_center_has_several_hundred_ports() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    let ports: Vec<u32> = (1..=300).collect();
    let ends: Vec<_> = ports.iter().map(|port| (*port, "dc1")).collect();
    bed.ensure(&instance, 1, SegmentKind::ELan, &ends).await;
    for container in 0..10 {
        bed.container(&format!("c{container}"));
    }
    for port in &ports {
        let (container, ifname) = (format!("c{}", port % 10), format!("d{port}"));
        let address = format!("10.0.{}.{}/16", port / 200, port % 200 + 1);
        // One address for a container that asks and one for each that answers; the others have none.
        let address = if *port > 290 { address.as_str() } else { "" };
        bed.attach(
            &instance,
            &Plug { port: *port, dc: "dc1", container: &container, ifname: &ifname, address, segments: &[1] },
        )
        .await;
    }
    let shown = exec_ok(&bed.dc_netns("dc1"), &["ls", "/sys/class/net/s1/brif"]);
    assert_eq!(shown.split_whitespace().count(), 300);
    // Ports 291 and 300 are in two containers.
    bed.reaches("c1", "10.0.1.101");
    bed.network().detach(&instance.owner, &dc("dc1"), llcm_names::PortId::new(5)).await.unwrap();
    bed.network().remove_instance(&instance.owner).await.unwrap();
    assert_eq!(bed.devices(&bed.dc_netns("dc1")), Vec::<String>::new());
}

#[tokio::test]
async fn half_a_data_center_is_made_anew_and_addresses_stay_apart() {
    let Some(bed) = Bed::new(&line()).await else { return };
    run("ip", &["netns", "del", &bed.dc_netns("dc2")]);
    bed.network().prepare(&topology(&["dc1", "dc2", "dc3", "dc4"], &[])).await.unwrap();
    let address = |name: &str| {
        let shown =
            run("ip", &["-n", &format!("{}.ul", bed.dc_netns(name)), "-o", "-4", "addr", "show", "lo"]);
        shown.split_whitespace().find(|word| word.starts_with("100.")).unwrap().to_owned()
    };
    let addresses: BTreeSet<String> = ["dc1", "dc2", "dc3", "dc4"].map(address).into_iter().collect();
    assert_eq!(addresses.len(), 4, "{addresses:?}");
}

/// Told to a test that it is the process with the low limit.
const FEW: &str = "LLCM_TEST_FEW_DESCRIPTORS";

#[tokio::test]
async fn too_few_descriptors_are_told_before_anything_is_made() {
    let Some(bed) = Bed::new(&single()).await else { return };
    if std::env::var_os(FEW).is_some() {
        let error = bed.network().prepare(&zoo(100)).await.unwrap_err();
        assert!(error.to_string().contains("RLIMIT_NOFILE"), "{error}");
        println!("refused as it should be");
        // Nothing was begun, and what there was goes on.
        assert_eq!(crate::bed::namespaces(&format!("llcm-{}", bed.id)).len(), 2);
        bed.network().prepare(&single()).await.unwrap();
        return;
    }
    // The limit is a process's, and other tests run in this one.
    let program = std::env::current_exe().unwrap();
    let name = "scale::too_few_descriptors_are_told_before_anything_is_made";
    let script = format!("ulimit -S -n 256; exec \"$0\" --exact {name} --nocapture");
    let output = Command::new("sh").args(["-c", &script]).arg(program).env(FEW, "1").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("refused as it should be"), "{output:?}");
}
