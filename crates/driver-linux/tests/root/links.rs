//! Links between data centers: bandwidth, packet sizes, routes, and changes of the topology.

use std::time::Duration;

use llcm_runtime::{NetworkDriver, SegmentKind};
use llcm_topology::LinkProperties;

use crate::bed::{Bed, exec, line, run, topology};
use crate::traffic::{PLAIN, blast_together, pair};

#[tokio::test]
async fn a_links_bandwidth_holds_for_all_segments_together() {
    let limited = LinkProperties { bandwidth_bps: Some(50_000_000), ..PLAIN };
    let Some(mut bed) = Bed::new(&topology(&["dc1", "dc2"], &[("dc1", "dc2", limited)])).await else {
        return;
    };
    pair(&mut bed, 1, 1500).await;
    pair(&mut bed, 2, 1500).await;
    bed.reaches("c10", "10.0.0.2");
    bed.reaches("c20", "10.0.0.2");
    let names = [10, 11, 20, 21].map(|port| bed.netns(&format!("c{port}")));
    let pairs = [[names[0].as_str(), &names[1]], [&names[2], &names[3]]];
    for together in [&pairs[..1], &pairs] {
        // Never more than that; less only when the machine did not let it.
        let all = (0..6).any(|_| {
            let rates = blast_together(together, Duration::from_secs(3));
            let sum: f64 = rates.iter().sum();
            println!("{rates:.1?} Mb/s, together {sum:.1} of 50");
            assert!(sum < 50.5, "{rates:?} Mb/s");
            sum > 38.0
        });
        assert!(all, "the link is not used");
    }
    let links = bed.network().links().await.unwrap();
    assert_eq!(links.len(), 1);
    assert!(links[0].up, "{links:?}");
    assert_eq!(links[0].emulated_by, ["tbf", "tbf"]);
}

#[tokio::test]
async fn packets_of_the_links_size_pass_unfragmented() {
    let Some(mut bed) = Bed::new(&topology(&["dc1", "dc2"], &[("dc1", "dc2", PLAIN)])).await else {
        return;
    };
    for (number, mtu) in [(1, 1500), (2, 9000)] {
        pair(&mut bed, number, mtu).await;
        let size = (mtu - 28).to_string();
        let from = bed.netns(&format!("c{}", number * 10));
        let output = exec(&from, &["ping", "-n", "-c", "1", "-W", "20", "-M", "do", "-s", &size, "10.0.0.2"]);
        assert!(output.status.success(), "mtu {mtu}: {output:?}\n{}", bed.describe());
    }
    let underlay = format!("{}.ul", bed.dc_netns("dc1"));
    let counters = exec(&underlay, &["cat", "/proc/net/snmp"]);
    let counters = String::from_utf8(counters.stdout).unwrap();
    let mut rows = counters.lines().filter(|line| line.starts_with("Ip: ")).map(|line| line.split(' '));
    let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
    let (_, created) = names.zip(values).find(|(name, _)| *name == "FragCreates").unwrap();
    assert_eq!(created, "0");
}

#[tokio::test]
async fn links_and_limits_follow_the_topology() {
    let limited = |bandwidth| LinkProperties { bandwidth_bps: Some(bandwidth), ..PLAIN };
    let two = |properties| topology(&["dc1", "dc2"], &[("dc1", "dc2", properties)]);
    let Some(mut bed) = Bed::new(&two(PLAIN)).await else { return };
    pair(&mut bed, 1, 1500).await;
    bed.reaches("c10", "10.0.0.2");
    let underlay = format!("{}.ul", bed.dc_netns("dc1"));
    let shown = || run("tc", &["-n", &underlay, "qdisc", "show"]);
    assert!(!shown().contains("tbf"), "{}", shown());
    bed.network().prepare(&two(limited(100_000_000))).await.unwrap();
    assert!(shown().contains("rate 100Mbit burst 25000b"), "{}", shown());
    // Beyond 32 bits of bytes per second, and at the rate where bursts get a floor.
    bed.network().prepare(&two(limited(100_000_000_000))).await.unwrap();
    assert!(shown().contains("rate 100Gbit"), "{}", shown());
    // The bucket stays, and limits nothing: taking it away would lose what waits in it.
    bed.network().prepare(&two(PLAIN)).await.unwrap();
    assert!(shown().contains("rate 8796Gbit"), "{}", shown());
    assert_eq!(bed.network().links().await.unwrap()[0].emulated_by, ["none", "none"]);
    bed.reaches("c10", "10.0.0.2");

    // A detour takes over the direct link, and gives it back.
    let detour = topology(&["dc1", "dc2", "dc3"], &[("dc1", "dc3", PLAIN), ("dc3", "dc2", PLAIN)]);
    bed.network().prepare(&detour).await.unwrap();
    bed.reaches("c10", "10.0.0.2");
    let names: Vec<String> = bed.network().links().await.unwrap().into_iter().map(|link| link.name).collect();
    assert_eq!(names, ["dc1-dc3", "dc3-dc2"]);
    bed.network().prepare(&two(PLAIN)).await.unwrap();
    bed.reaches("c10", "10.0.0.2");
    assert_eq!(bed.devices(&underlay).len(), 1);
    assert!(crate::bed::namespaces(&bed.dc_netns("dc3")).is_empty());
}

#[tokio::test]
async fn preparing_again_changes_nothing() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, SegmentKind::ELan, &[(1, "dc1")]).await;
    let state = |bed: &Bed| {
        let names = crate::bed::namespaces(&format!("llcm-{}-", bed.id));
        let show = |name: &String| {
            format!(
                "{name}\n{}\n{}{}",
                bed.indexes(name).join(" "),
                run("ip", &["-n", name, "-o", "addr"]),
                run("ip", &["-n", name, "route"])
            )
        };
        names.iter().map(show).collect::<String>()
    };
    let before = state(&bed);
    bed.network().prepare(&line()).await.unwrap();
    bed.restart();
    bed.network().prepare(&line()).await.unwrap();
    assert_eq!(state(&bed), before);
}

#[tokio::test]
async fn a_small_link_fragments_what_may_be_fragmented() {
    let small = LinkProperties { mtu: Some(1400), ..PLAIN };
    let Some(mut bed) = Bed::new(&topology(&["dc1", "dc2"], &[("dc1", "dc2", small)])).await else { return };
    pair(&mut bed, 1, 1500).await;
    bed.reaches("c10", "10.0.0.2");
    let output =
        exec(&bed.netns("c10"), &["ping", "-n", "-c", "2", "-W", "20", "-s", "1372", "-M", "do", "10.0.0.2"]);
    assert!(output.status.success(), "{output:?}\n{}", bed.describe());
    let output = exec(
        &bed.netns("c10"),
        &["ping", "-n", "-c", "2", "-W", "20", "-s", "1472", "-M", "dont", "10.0.0.2"],
    );
    assert!(output.status.success(), "{output:?}\n{}", bed.describe());
}
