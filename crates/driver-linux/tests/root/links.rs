//! Links between data centers: bandwidth, packet sizes, routes, and changes of the topology.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use llcm_runtime::{NetworkDriver, SegmentKind};
use llcm_topology::LinkProperties;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::bed::{Bed, E_LINE, Plug, exec, line, run, topology};

pub(crate) const PLAIN: LinkProperties = LinkProperties {
    bandwidth_bps: None,
    delay_us: 0,
    jitter_us: 0,
    loss_ppm: 0,
    mtu: None,
    queue_packets: None,
};

/// Two containers in dc1 and dc2 on an E-Line, the second listening.
pub(crate) async fn pair(bed: &mut Bed, number: u32, mtu: u32) {
    let instance = bed.instance(0);
    let ports = [number * 10, number * 10 + 1];
    bed.ensure(&instance, number, E_LINE, &[(ports[0], "dc1"), (ports[1], "dc2")]).await;
    for (port, dc, address) in [(ports[0], "dc1", "10.0.0.1/30"), (ports[1], "dc2", "10.0.0.2/30")] {
        let name = format!("c{port}");
        bed.container(&name);
        let segments = [number];
        let plug = Plug { port, dc, container: &name, ifname: "data", address, segments: &segments };
        let spec = llcm_runtime::PortSpec { mtu, ..bed.port(&instance, &plug) };
        bed.network().attach(&spec, &bed.point(&name)).await.unwrap();
    }
}

/// Runs work on a thread of its own in a namespace.
fn within<T: Send>(netns: &str, work: impl FnOnce() -> T + Send) -> T {
    let file = std::fs::File::open(format!("/run/netns/{netns}")).unwrap();
    let enter = move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

/// Repeats a call that a signal cut off, which happens to sockets with timeouts.
fn uninterrupted<T>(mut call: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other.unwrap(),
        }
    }
}

/// Sends as fast as it goes for a time; returns received megabits per second.
pub(crate) fn blast(from: &str, to: &str, time: Duration) -> f64 {
    let listener = within(to, || TcpListener::bind("0.0.0.0:5001").unwrap());
    let address = "10.0.0.2:5001".parse().unwrap();
    let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(5));
    let mut stream = within(from, || uninterrupted(connect));
    stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let (mut accepted, _) = uninterrupted(|| listener.accept());
    accepted.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let chunk = vec![7; 64 * 1024];
            let end = Instant::now() + time;
            while Instant::now() < end {
                stream.write_all(&chunk).unwrap();
            }
        });
        let (start, mut bytes, mut buffer) = (Instant::now(), 0_u32, vec![0; 256 * 1024]);
        while let length @ 1.. = uninterrupted(|| accepted.read(&mut buffer)) {
            bytes += u32::try_from(length).unwrap();
        }
        f64::from(bytes) * 8.0 / 1e6 / start.elapsed().as_secs_f64()
    })
}

#[tokio::test]
async fn a_links_bandwidth_holds_for_all_segments_together() {
    let limited = LinkProperties { bandwidth_bps: Some(50_000_000), ..PLAIN };
    let Some(mut bed) = Bed::new(&topology(&["dc1", "dc2"], &[("dc1", "dc2", limited)])).await else {
        return;
    };
    pair(&mut bed, 1, 1500).await;
    pair(&mut bed, 2, 1500).await;
    let names = [10, 11, 20, 21].map(|port| bed.netns(&format!("c{port}")));
    let time = Duration::from_secs(3);
    let alone = blast(&names[0], &names[1], time);
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| blast(&names[0], &names[1], time));
        let second = scope.spawn(|| blast(&names[2], &names[3], time));
        (first.join().unwrap(), second.join().unwrap())
    });
    println!("alone {alone:.1} Mb/s, together {first:.1} + {second:.1} Mb/s of 50");
    assert!((38.0..50.5).contains(&alone), "{alone} Mb/s alone");
    assert!((38.0..50.5).contains(&(first + second)), "{first} + {second} Mb/s together");
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
        let output = exec(&from, &["ping", "-n", "-c", "1", "-W", "2", "-M", "do", "-s", &size, "10.0.0.2"]);
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
        exec(&bed.netns("c10"), &["ping", "-n", "-c", "2", "-W", "1", "-s", "1372", "-M", "do", "10.0.0.2"]);
    assert!(output.status.success(), "{output:?}\n{}", bed.describe());
    let output = exec(
        &bed.netns("c10"),
        &["ping", "-n", "-c", "2", "-W", "1", "-s", "1472", "-M", "dont", "10.0.0.2"],
    );
    assert!(output.status.success(), "{output:?}\n{}", bed.describe());
}
