//! Links that are slow and lossy, and properties that change while packets are on their way. How exact they are is
//! measured by a benchmark; here it is shown that they are what they are said to be, on a machine that may be busy: most
//! bounds are for the fastest of many packets, which nothing else can have delayed.

use std::net::UdpSocket;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use llcm_driver_linux::{Kernel, LinuxNetwork, Options};
use llcm_runtime::NetworkDriver;
use llcm_topology::{LinkProperties, Topology};
use tokio::sync::Mutex;

use crate::bed::{Bed, E_LINE, Plug, exec, run, single, topology};
use crate::traffic::{PLAIN, blast_together, pair, within};

/// One after the other.
static ALONE: Mutex<()> = Mutex::const_new(());

/// What is delayed by.
fn means() -> String {
    let properties = Kernel::check().unwrap().properties();
    properties.into_iter().find(|(name, _)| *name == "delay").unwrap().1.unwrap()
}

fn delayed(delay_us: u64) -> LinkProperties {
    LinkProperties { delay_us, ..PLAIN }
}

fn two(properties: LinkProperties) -> Topology {
    topology(&["dc1", "dc2"], &[("dc1", "dc2", properties)])
}

/// A reply of ping: when it came, in seconds since 1970, and the round-trip time in milliseconds.
#[derive(Debug, Clone, Copy)]
struct Reply {
    at: f64,
    rtt: f64,
}

fn ping(bed: &Bed, from: &str, to: &str, count: u32, interval: &str) -> Child {
    let count = count.to_string();
    let mut command = std::process::Command::new("ip");
    command.args([
        "netns",
        "exec",
        &bed.netns(from),
        "ping",
        "-D",
        "-n",
        "-c",
        &count,
        "-i",
        interval,
        "-W",
        "3",
        to,
    ]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap()
}

fn replies(ping: Child) -> Vec<Reply> {
    let output = ping.wait_with_output().unwrap();
    let field = |line: &str, name: &str| -> Option<f64> {
        line.split_once(name)?.1.split([' ', ']']).next()?.parse().ok()
    };
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter_map(|line| Some(Reply { at: field(line, "[")?, rtt: field(line, " time=")? }))
        .collect()
}

/// The fastest of 30 pings; where it is not below what is wanted, of 30 more, for a machine can be busy that long.
fn fastest(bed: &Bed, from: &str, to: &str, below: f64) -> f64 {
    let mut fastest = f64::INFINITY;
    for _ in 0..5 {
        let replies = replies(ping(bed, from, to, 30, "0.01"));
        assert_eq!(replies.len(), 30, "{replies:?}\n{}", bed.describe());
        fastest = replies.iter().map(|reply| reply.rtt).fold(fastest, f64::min);
        if fastest < below {
            break;
        }
    }
    fastest
}

fn blast(from: &str, to: &str, time: Duration) -> f64 {
    blast_together(&[[from, to]], time)[0]
}

/// A third data center behind the second, on an E-Line with the first: 10.0.1.1 in c30, 10.0.1.2 in c31.
async fn behind(bed: &mut Bed) {
    let instance = bed.instance(1);
    bed.ensure(&instance, 3, E_LINE, &[(30, "dc1"), (31, "dc3")]).await;
    for (port, dc, address) in [(30, "dc1", "10.0.1.1/30"), (31, "dc3", "10.0.1.2/30")] {
        let name = format!("c{port}");
        bed.container(&name);
        let plug = Plug { port, dc, container: &name, ifname: "data", address, segments: &[3] };
        bed.attach(&instance, &plug).await;
    }
}

#[tokio::test]
async fn delays_add_up_over_hops() {
    let _alone = ALONE.lock().await;
    let chain = |delay_us| {
        let links = [("dc1", "dc2", delayed(delay_us)), ("dc2", "dc3", delayed(delay_us))];
        topology(&["dc1", "dc2", "dc3"], &links)
    };
    let Some(mut bed) = Bed::new(&chain(5000)).await else { return };
    pair(&mut bed, 1, 1500).await;
    behind(&mut bed).await;
    for delay_us in [5000_u32, 20_000, 1000] {
        bed.network().prepare(&chain(delay_us.into())).await.unwrap();
        for (hops, from, to) in [(1, "c10", "10.0.0.2"), (2, "c30", "10.0.1.2")] {
            let wanted = f64::from(delay_us) / 1000.0 * 2.0 * f64::from(hops);
            let fastest = fastest(&bed, from, to, wanted + 0.6);
            println!("{hops} hops of {delay_us} us: {fastest} ms of {wanted}");
            assert!((wanted - 0.2..wanted + 0.6).contains(&fastest), "{fastest} ms instead of {wanted}");
        }
    }
    let by = bed.network().links().await.unwrap().remove(0).emulated_by;
    assert_eq!(by, [means(), means()]);
}

#[tokio::test]
async fn each_direction_is_delayed_on_its_own_and_deviates_within_bounds() {
    let _alone = ALONE.lock().await;
    let mut wanted = two(LinkProperties { jitter_us: 5000, ..delayed(20_000) });
    wanted.links[0].b.egress = PLAIN;
    let Some(mut bed) = Bed::new(&wanted).await else { return };
    pair(&mut bed, 1, 1500).await;
    // A busy machine can delay each of a hundred, and only ever makes them slower.
    let mut least = f64::INFINITY;
    for _ in 0..5 {
        let seen = replies(ping(&bed, "c10", "10.0.0.2", 100, "0.02"));
        assert_eq!(seen.len(), 100);
        let mut times: Vec<f64> = seen.iter().map(|reply| reply.rtt).collect();
        times.sort_by(f64::total_cmp);
        println!("20 ± 5 ms: {:.1} to {:.1}, median {:.1}", times[0], times[99], times[50]);
        assert!(times[0] > 14.9 && times[99] > 24.0, "{times:?}");
        least = least.min(times[0]);
        // Of a hundred even draws one is in the lowest tenth, but for 1 run in 37,000.
        if least < 16.6 {
            break;
        }
    }
    assert!(least < 16.6, "{least}");
}

#[tokio::test]
async fn losses_are_as_many_as_said() {
    let _alone = ALONE.lock().await;
    let mut wanted = two(LinkProperties { loss_ppm: 100_000, ..PLAIN });
    wanted.links[0].b.egress = PLAIN;
    let Some(mut bed) = Bed::new(&wanted).await else { return };
    pair(&mut bed, 1, 1500).await;
    let replies = replies(ping(&bed, "c10", "10.0.0.2", 2000, "0.002"));
    println!("{} of 2000 replies at 10 %", replies.len());
    let counted = llcm_runtime::Counters::links(bed.network()).await.unwrap();
    let lost = |from: &str| counted.iter().find(|it| it.from.as_str() == from).unwrap().sent.dropped;
    // A question for a hardware address may be lost with the pings, and is counted, too.
    let pings = 2000 - u64::try_from(replies.len()).unwrap();
    assert!((pings..=pings + 5).contains(&lost("dc1")), "{pings} pings lost: {counted:?}");
    assert_eq!(lost("dc2"), 0, "{counted:?}");
    // Five standard deviations.
    assert!((1800 - 67..=1800 + 67).contains(&replies.len()), "{}", replies.len());
}

#[tokio::test]
async fn a_stream_gets_the_stated_share_of_a_slow_link() {
    let _alone = ALONE.lock().await;
    let limited = LinkProperties { bandwidth_bps: Some(50_000_000), ..delayed(2000) };
    let Some(mut bed) = Bed::new(&two(limited)).await else { return };
    pair(&mut bed, 1, 1500).await;
    let names = [10, 11].map(|port| bed.netns(&format!("c{port}")));
    // 1448 bytes of 1564 that the link counts for a packet. Never more; less only when the machine did not let it.
    let wanted = 50.0 * 1448.0 / 1564.0;
    let mut seen = Vec::new();
    while seen.len() < 6 && !seen.iter().any(|it| *it > wanted * 0.98) {
        seen.push(blast(&names[0], &names[1], Duration::from_secs(3)));
        println!("{:.2} of {wanted:.2} Mbit/s", seen[seen.len() - 1]);
    }
    // A burst more in three seconds.
    assert!(seen.iter().all(|it| *it < wanted * 1.02), "{seen:?}");
    assert!(seen.iter().any(|it| *it > wanted * 0.98), "{seen:?}");
    assert_eq!(bed.network().links().await.unwrap()[0].emulated_by[0], format!("tbf, {}", means()));
}

#[tokio::test]
async fn changes_take_effect_at_once_and_lose_nothing() {
    let _alone = ALONE.lock().await;
    let Some(mut bed) = Bed::new(&two(PLAIN)).await else { return };
    pair(&mut bed, 1, 1500).await;
    let limited = |delay_us| LinkProperties { bandwidth_bps: Some(100_000_000), ..delayed(delay_us) };
    // From a plain link over all kinds of devices, and then in place.
    let steps = [limited(0), limited(30_000), limited(10_000), delayed(40_000), delayed(0), PLAIN];
    let mut before = PLAIN;
    for after in steps {
        // A busy machine may take its time: one of ten changes has to be quick, none may lose anything.
        let mut quickest = f64::INFINITY;
        for _ in 0..10 {
            bed.network().prepare(&topology(&["dc1", "dc2"], &[])).await.unwrap();
            bed.network().prepare(&two(before)).await.unwrap();
            quickest = quickest.min(change(&bed, before, after).await);
            if quickest < 50.0 {
                break;
            }
        }
        println!("{} to {} us: after {quickest:.1} ms", before.delay_us, after.delay_us);
        assert!(quickest < 50.0, "{quickest} ms");
        before = after;
    }
    assert_eq!(bed.devices(&format!("{}.ul", bed.dc_netns("dc1"))).len(), 1);
    // In place as well as by devices that take the place of others.
    for after in steps {
        change(&bed, before, after).await;
        before = after;
    }
}

/// Changes a link under a ping every 5 ms, of which none may be lost. Milliseconds from the call until the first is sent
/// that experiences the change; 0 where there is nothing to be seen.
async fn change(bed: &Bed, before: LinkProperties, after: LinkProperties) -> f64 {
    let ping = ping(bed, "c10", "10.0.0.2", 200, "0.005");
    tokio::time::sleep(Duration::from_millis(400)).await;
    let called = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    bed.network().prepare(&two(after)).await.unwrap();
    let replies = tokio::task::spawn_blocking(|| replies(ping)).await.unwrap();
    assert_eq!(replies.len(), 200, "from {before:?} to {after:?}");
    if before.delay_us == after.delay_us {
        return 0.0;
    }
    let middle = (before.delay_us + after.delay_us) as f64 / 1000.0;
    let is_new = |rtt: f64| (rtt > middle) == (after.delay_us > before.delay_us);
    let sent = |reply: &Reply| reply.at - reply.rtt / 1000.0;
    let first = replies.iter().filter(|it| is_new(it.rtt)).map(sent).find(|at| *at > called);
    first.map_or(f64::INFINITY, |first| (first - called) * 1000.0)
}

#[tokio::test]
async fn losses_come_and_go_under_a_stream() {
    let _alone = ALONE.lock().await;
    let slow = delayed(2000);
    let Some(mut bed) = Bed::new(&two(slow)).await else { return };
    pair(&mut bed, 1, 1500).await;
    let names = [10, 11].map(|port| bed.netns(&format!("c{port}")));
    let stream = tokio::task::spawn_blocking(move || blast(&names[0], &names[1], Duration::from_secs(4)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    // What the device has ready when the first packet may get lost are frames that stand for many.
    for _ in 0..8 {
        for loss_ppm in [1000, 0] {
            bed.network().prepare(&two(LinkProperties { loss_ppm, ..slow })).await.unwrap();
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    }
    let rate = stream.await.unwrap();
    println!("{rate:.0} Mbit/s");
    assert!(rate > 5.0, "{rate}");
    let fastest = fastest(&bed, "c10", "10.0.0.2", 6.0);
    assert!((3.9..6.0).contains(&fastest), "{fastest}");
}

#[tokio::test]
async fn what_waits_in_a_link_arrives_though_others_take_its_place() {
    let _alone = ALONE.lock().await;
    let narrow = |delay_us| LinkProperties {
        bandwidth_bps: Some(1_000_000),
        queue_packets: Some(200),
        ..delayed(delay_us)
    };
    let Some(mut bed) = Bed::new(&two(narrow(0))).await else { return };
    pair(&mut bed, 1, 1500).await;
    bed.reaches("c10", "10.0.0.2");
    let bind = |container: &str| within(&bed.netns(container), || UdpSocket::bind("0.0.0.0:7").unwrap());
    let (from, to) = (bind("c10"), bind("c11"));
    to.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let arrive = tokio::task::spawn_blocking(move || {
        let mut buffer = [0; 1500];
        for number in 0..120 {
            let length = to.recv(&mut buffer).unwrap_or_else(|error| panic!("after {number}: {error}"));
            assert_eq!((length, buffer[0]), (1200, number));
        }
    });
    // More than a second of the link.
    for number in 0..120_u8 {
        from.send_to(&[number; 1200], "10.0.0.2:7").unwrap();
    }
    bed.network().prepare(&two(narrow(1000))).await.unwrap();
    assert_eq!(bed.network().links().await.unwrap()[0].emulated_by[0], format!("tbf, {}", means()));
    arrive.await.unwrap();
}

#[tokio::test]
async fn what_threads_of_a_program_delayed_goes_on_with_the_next_program() {
    let _alone = ALONE.lock().await;
    let Some(mut bed) = Bed::new(&two(delayed(5000))).await else { return };
    pair(&mut bed, 1, 1500).await;
    bed.reaches("c10", "10.0.0.2");
    bed.restart();
    // Threads end with their program, and the devices with them; the next one makes them again.
    bed.network().prepare(&two(delayed(5000))).await.unwrap();
    let fastest = fastest(&bed, "c10", "10.0.0.2", 11.0);
    assert!((9.9..11.0).contains(&fastest), "{fastest}");
}

#[tokio::test]
async fn all_is_emulated_where_there_are_means() {
    let _alone = ALONE.lock().await;
    let Some(bed) = Bed::new(&single()).await else { return };
    let slow = LinkProperties { delay_us: 10_000, loss_ppm: 5, bandwidth_bps: Some(1_000_000), ..PLAIN };
    let wanted = two(slow);
    let report = bed.network().prepare(&wanted).await.unwrap();
    // Whoever only asks is told the same, and where the data centers are.
    assert_eq!(Kernel::check().unwrap().not_emulated(&wanted), Vec::<String>::new());
    assert!(report.not_emulated.is_empty(), "{report:?}");
    let found = LinuxNetwork::find_datacenters(&bed.id, &Options::default()).unwrap();
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["dc1", "dc2"]);
    let nowhere = llcm_names::InstallationId::from_bits(0xffff_fff0);
    assert!(LinuxNetwork::find_datacenters(&nowhere, &Options::default()).unwrap().is_empty());
    // Who speaks first does not have to ask for the other end's hardware address.
    let underlay = format!("{}.ul", bed.dc_netns("dc1"));
    assert!(run("ip", &["-n", &underlay, "neigh"]).contains("PERMANENT"));
    assert!(exec(&underlay, &["ping", "-n", "-c", "1", "-W", "20", "127.0.0.1"]).status.success());
}
