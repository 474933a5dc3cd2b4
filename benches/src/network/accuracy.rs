//! Whether links do to packets what the topology says: measured with ping and iperf3 over a chain of data centers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use llcm_driver_linux::Kernel;
use llcm_names::DcName;
use llcm_runtime::{NetworkDriver as _, SegmentKind};
use llcm_topology::{LinkProperties, Topology};

use super::bed::Bed;
use super::probe::{Server, congestion, found, received, replies, rtts, start_client, start_ping};

const HOPS: u32 = 5;
/// Bytes of TCP payload in a packet of 1500 bytes with timestamps, and what a link counts for it: Ethernet, VXLAN, UDP
/// and IP around a frame of 1514.
const GOODPUT: f64 = 1448.0 / 1564.0;
const PLAIN: LinkProperties = LinkProperties {
    bandwidth_bps: None,
    delay_us: 0,
    jitter_us: 0,
    loss_ppm: 0,
    mtu: None,
    queue_packets: None,
};

/// Measures and prints all tables.
pub(crate) async fn run() -> Result<()> {
    for (name, means) in Kernel::check()?.properties() {
        println!("{name}: {}", means.unwrap_or_else(|reason| format!("not emulated: {reason}")));
    }
    let chain = Chain::new().await?;
    chain.bandwidths().await?;
    chain.delays().await?;
    chain.jitter().await?;
    chain.losses().await?;
    chain.changes().await
}

/// Data centers dc0 to dc5 in a row, and an E-Line from dc0 to each other one: 10.0.h.1 to 10.0.h.2 over h hops.
struct Chain {
    bed: Bed,
}

fn dc(number: u32) -> Result<DcName> {
    Ok(DcName::parse(&format!("dc{number}"))?)
}

fn chain(there: LinkProperties, back: LinkProperties) -> Result<Topology> {
    let names: Vec<String> = (0..=HOPS).map(|number| format!("dc{number}")).collect();
    let links: Vec<String> =
        (0..HOPS).map(|number| format!("  - [dc{number}, dc{}]\n", number + 1)).collect();
    let text = format!("datacenters: [{}]\nlinks:\n{}", names.join(", "), links.concat());
    let mut topology = llcm_topology::load(text.as_bytes()).0.context("the chain is no topology")?;
    for link in &mut topology.links {
        (link.a.egress, link.b.egress) = (there, back);
    }
    Ok(topology)
}

impl Chain {
    async fn new() -> Result<Self> {
        let mut bed = Bed::new(7)?;
        bed.network()?.prepare(&chain(PLAIN, PLAIN)?).await?;
        for hops in 1..=HOPS {
            let ends = [(hops * 2, dc(0)?), (hops * 2 + 1, dc(hops)?)];
            bed.segment(0, hops, SegmentKind::ELine { bidirectional: true }, &ends).await?;
            for (side, (port, dc)) in ends.iter().enumerate() {
                let name = format!("c{port}");
                bed.container(&name)?;
                let address = format!("10.0.{hops}.{}/24", side + 1);
                bed.port(0, (*port, dc), hops, (&name, &address, 1500)).await?;
            }
        }
        Ok(Self { bed })
    }

    async fn set(&self, there: LinkProperties, back: LinkProperties) -> Result<()> {
        let report = self.bed.network()?.prepare(&chain(there, back)?).await?;
        anyhow::ensure!(report.not_emulated.is_empty(), "{:?}", report.not_emulated);
        Ok(())
    }

    fn near(&self, hops: u32) -> String {
        self.bed.netns(&format!("c{}", hops * 2))
    }

    fn far(&self, hops: u32) -> String {
        self.bed.netns(&format!("c{}", hops * 2 + 1))
    }

    async fn delays(&self) -> Result<()> {
        println!(
            "\n### Delay\n\nRound-trip times of 100 pings, 20 ms apart; median and 95th percentile, and how far the median is from twice the delays' sum.\n"
        );
        println!(
            "| delay of each link | hops | to be (ms) | median (ms) | 95 % below (ms) | error (us) | error (%) |"
        );
        println!("|---|---|---|---|---|---|---|");
        for delay_us in [0, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000] {
            let slow = LinkProperties { delay_us, ..PLAIN };
            self.set(slow, slow).await?;
            for hops in 1..=HOPS {
                let to = format!("10.0.{hops}.2");
                rtts(&self.near(hops), &to, 3, 0.01)?;
                let times = rtts(&self.near(hops), &to, 100, 0.02)?;
                let (median, high) = (times[times.len() / 2], times[times.len() * 95 / 100]);
                let wanted = delay_us as f64 / 1000.0 * 2.0 * f64::from(hops);
                let share = if wanted > 0.0 {
                    format!("{:.2}", (median - wanted) / wanted * 100.0)
                } else {
                    String::new()
                };
                println!(
                    "| {} ms | {hops} | {wanted} | {median:.3} | {high:.3} | {:.0} | {share} |",
                    delay_us / 1000,
                    (median - wanted) * 1000.0
                );
            }
        }
        Ok(())
    }

    async fn jitter(&self) -> Result<()> {
        println!(
            "\n### Jitter\n\nOne direction of one link with a delay of 20 ms; 500 pings, 20 ms apart. An even distribution over ± j has a standard deviation of j / √3.\n"
        );
        println!("| jitter | least to most (ms) | mean (ms) | standard deviation (ms) | to be (ms) |");
        println!("|---|---|---|---|---|");
        for jitter_us in [1000, 5000, 9000_u32] {
            let slow = LinkProperties { delay_us: 20_000, jitter_us: jitter_us.into(), ..PLAIN };
            self.set(slow, PLAIN).await?;
            let times = rtts(&self.near(1), "10.0.1.2", 500, 0.02)?;
            let count = times.len() as f64;
            let mean = times.iter().sum::<f64>() / count;
            let deviation = (times.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / count).sqrt();
            let jitter = f64::from(jitter_us) / 1000.0;
            println!(
                "| {jitter} ms | {:.2} to {:.2} | {mean:.2} | {deviation:.2} | {:.2} |",
                times[0],
                times[times.len() - 1],
                jitter / 3_f64.sqrt()
            );
        }
        Ok(())
    }

    async fn losses(&self) -> Result<()> {
        println!(
            "\n### Loss\n\n10,000 pings, 1 ms apart, over one link that loses in one direction; the bounds have 99.9 % of all such runs within them.\n"
        );
        println!("| loss | lost of 10,000 | share (%) | bounds (%) | within |");
        println!("|---|---|---|---|---|");
        const SENT: u32 = 10_000;
        for loss_ppm in [0, 1000, 10_000, 50_000, 100_000] {
            self.set(LinkProperties { loss_ppm, ..PLAIN }, PLAIN).await?;
            let arrived = replies(start_ping(&self.near(1), "10.0.1.2", SENT, 0.001)?)?.len();
            let lost = f64::from(SENT) - arrived as f64;
            let share = f64::from(loss_ppm) / 1e6;
            let spread = 3.29 * (share * (1.0 - share) / f64::from(SENT)).sqrt();
            let (low, high) = ((share - spread).max(0.0), share + spread);
            let is_within = (low..=high).contains(&(lost / f64::from(SENT)));
            println!(
                "| {} % | {lost} | {:.3} | {:.3} to {:.3} | {} |",
                share * 100.0,
                lost / f64::from(SENT) * 100.0,
                low * 100.0,
                high * 100.0,
                if is_within { "yes" } else { "no" }
            );
        }
        Ok(())
    }

    async fn bandwidths(&self) -> Result<()> {
        println!(
            "\n### Bandwidth\n\nWhat one TCP stream gets of a link's bandwidth (iperf3 with {}, 8 s after 2 s to begin), with packets of 1500 bytes: {GOODPUT:.3} of it are payload. Then two streams of two E-Lines over the same link, together.\n",
            congestion()?
        );
        println!(
            "| bandwidth | delay | to be (Mbit/s) | measured (Mbit/s) | ratio | two streams together | ratio |"
        );
        println!("|---|---|---|---|---|---|---|");
        let _servers = [Server::start(&self.far(1), 5201)?, Server::start(&self.far(2), 5202)?];
        for (megabits, delay_us) in [
            (1, 0),
            (10, 0),
            (100, 0),
            (1000, 0),
            (5000, 0),
            (1, 5000),
            (10, 5000),
            (100, 5000),
            (1000, 5000),
        ] {
            let limited = LinkProperties { bandwidth_bps: Some(megabits * 1_000_000), delay_us, ..PLAIN };
            self.set(limited, limited).await?;
            let one = ["-t", "10", "-O", "2"];
            let alone = received(&found(start_client(&self.near(1), "10.0.1.2", 5201, &one)?)?)? / 1e6;
            let first = start_client(&self.near(1), "10.0.1.2", 5201, &one)?;
            let second = start_client(&self.near(2), "10.0.2.2", 5202, &one)?;
            let both = (received(&found(first)?)? + received(&found(second)?)?) / 1e6;
            let wanted = megabits as f64 * GOODPUT;
            println!(
                "| {megabits} Mbit/s | {} ms | {wanted:.2} | {alone:.2} | {:.3} | {both:.2} | {:.3} |",
                delay_us / 1000,
                alone / wanted,
                both / wanted
            );
        }
        for (name, properties) in [
            ("no link property", PLAIN),
            ("delay 1 ms", LinkProperties { delay_us: 1000, ..PLAIN }),
            ("delay 20 ms", LinkProperties { delay_us: 20_000, ..PLAIN }),
        ] {
            self.set(properties, properties).await?;
            let rate =
                received(&found(start_client(&self.near(1), "10.0.1.2", 5201, &["-t", "10", "-O", "2"])?)?)?;
            println!("| unlimited: {name} | | | {:.0} | | | |", rate / 1e6);
        }
        Ok(())
    }

    async fn changes(&self) -> Result<()> {
        println!(
            "\n### Changes\n\nA ping every 5 ms over one link whose properties change; from the call until the first packet is sent that experiences it.\n"
        );
        println!("| change | replies of 400 | effect after (ms) |");
        println!("|---|---|---|");
        let delayed = |delay_us| LinkProperties { delay_us, ..PLAIN };
        let limited = |delay_us| LinkProperties { bandwidth_bps: Some(100_000_000), ..delayed(delay_us) };
        let cases = [
            ("delay 10 ms to 40 ms", delayed(10_000), delayed(40_000)),
            ("delay 40 ms to 10 ms", delayed(40_000), delayed(10_000)),
            ("delay 10 ms to 40 ms, with a bandwidth at the same time", delayed(10_000), limited(40_000)),
            ("no delay to 20 ms: a line like any", PLAIN, delayed(20_000)),
        ];
        for (name, before, after) in cases {
            self.set(before, before).await?;
            std::thread::sleep(Duration::from_millis(200));
            let ping = start_ping(&self.near(1), "10.0.1.2", 400, 0.005)?;
            std::thread::sleep(Duration::from_millis(1000));
            let called = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
            self.set(after, after).await?;
            let replies = replies(ping)?;
            let middle = (before.delay_us + after.delay_us) as f64 / 1000.0;
            let is_new = |rtt: f64| (rtt > middle) == (after.delay_us > before.delay_us);
            let sent = |reply: &super::probe::Reply| reply.at - reply.rtt / 1000.0;
            let first = replies.iter().filter(|reply| is_new(reply.rtt)).map(sent).find(|at| *at > called);
            let effect = first.map_or("never".to_owned(), |at| format!("{:.1}", (at - called) * 1000.0));
            println!("| {name} | {} | {effect} |", replies.len());
        }
        Ok(())
    }
}
