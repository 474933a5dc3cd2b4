//! What segments carry: one TCP stream of iperf3 over each kind, against a pair of devices between two namespaces.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use llcm_names::DcName;
use llcm_runtime::{NetworkDriver, SegmentKind};
use llcm_topology::Topology;

use super::bed::{Bed, run as execute};
use crate::stats::{median, spread};

/// How often each is measured, in turn with all others.
const ROUNDS: usize = 7;
const SECONDS: &str = "1";
/// The sizes of packets that containers send.
const MTUS: [u32; 2] = [1500, 9000];

/// E-Lines and E-LANs within a data center and over one and two hops, without limits of the links.
pub(crate) async fn run() -> Result<()> {
    println!(
        "one TCP stream of iperf3 for {SECONDS} s, {ROUNDS} rounds, each of them over all ways in turn; Gbit/s received, \
         minimum / median / maximum; ratios to a pair of devices between two namespaces: the median of each round's, that \
         of the best rounds, and the median of what a second of CPU time, both sides together, moves, which others on the \
         machine disturb least. Goals: E-Line 0.95, E-LAN 0.9\n"
    );
    println!("| MTU | way | Gbit/s | of the pair | best of best | by CPU time |");
    println!("|---|---|---|---|---|---|");
    for (number, mtu) in (110..).zip(MTUS) {
        measure(number, mtu).await?;
    }
    Ok(())
}

async fn measure(number: u32, mtu: u32) -> Result<()> {
    let mut bed = Bed::new(number)?;
    bed.network()?.prepare(&line()?).await?;
    let mut ways = vec![pair(&mut bed, mtu)?];
    let line = SegmentKind::ELine { bidirectional: true };
    for (id, (what, kind, far)) in (1..).zip([
        ("E-Line within a data center", line, "d0"),
        ("E-Line over one hop", line, "d1"),
        ("E-Line over two hops", line, "d2"),
        ("E-LAN within a data center", SegmentKind::ELan, "d0"),
        ("E-LAN over one hop", SegmentKind::ELan, "d1"),
        ("E-LAN over two hops", SegmentKind::ELan, "d2"),
    ]) {
        let ports = [3 * id, 3 * id + 1];
        let sites = [DcName::parse("d0")?, DcName::parse(far)?];
        let mut ends = vec![(ports[0], sites[0].clone()), (ports[1], sites[1].clone())];
        if kind == SegmentKind::ELan {
            // With a third end, which stays empty, an E-LAN is made of bridges.
            ends.push((ports[1] + 1, sites[0].clone()));
        }
        bed.segment(0, id, kind, &ends).await?;
        let names = ports.map(|port| format!("c{port}"));
        for (index, name) in names.iter().enumerate() {
            bed.container(name)?;
            let address = format!("10.0.0.{}/24", index + 1);
            bed.port(0, (ports[index], &sites[index]), id, (name, &address, mtu)).await?;
        }
        ways.push(Way::between(&bed, what, [&names[0], &names[1]])?);
    }
    for _ in 0..ROUNDS {
        for way in &mut ways {
            let [rate, efficiency] = way.stream()?;
            way.rates.push(rate);
            way.efficiencies.push(efficiency);
        }
    }
    for way in &ways {
        let ratio = |figures: &dyn Fn(&Way) -> &[f64]| {
            let ratios = figures(way).iter().zip(figures(&ways[0])).map(|(it, pair)| it / pair);
            median(&ratios.collect::<Vec<_>>())
        };
        let best = |way: &Way| way.rates.iter().copied().fold(0.0, f64::max);
        println!(
            "| {mtu} | {} | {} | {:.2} | {:.2} | {:.2} |",
            way.what,
            spread(&way.rates),
            ratio(&|way| &way.rates),
            best(way) / best(&ways[0]),
            ratio(&|way| &way.efficiencies)
        );
    }
    drop(ways);
    bed.remove(0).await?;
    bed.network()?.teardown().await?;
    Ok(())
}

/// d0 - d1 - d2.
fn line() -> Result<Topology> {
    let text = "datacenters: [d0, d1, d2]\nlinks:\n  - [d0, d1]\n  - [d1, d2]\n";
    llcm_topology::load(text.as_bytes()).0.context("a topology")
}

/// Two namespaces joined by a pair of devices.
fn pair(bed: &mut Bed, mtu: u32) -> Result<Way> {
    let names = ["pair0", "pair1"];
    names.iter().try_for_each(|name| bed.container(name))?;
    let [first, second] = names.map(|name| bed.netns(name));
    let mtu = mtu.to_string();
    execute(
        "ip",
        &[
            "-n", &first, "link", "add", "name", "data", "mtu", &mtu, "type", "veth", "peer", "name", "data",
            "mtu", &mtu, "netns", &second,
        ],
    )?;
    for (netns, address) in [(&first, "10.0.0.1/24"), (&second, "10.0.0.2/24")] {
        execute("ip", &["-n", netns, "addr", "add", address, "dev", "data"])?;
        execute("ip", &["-n", netns, "link", "set", "data", "up"])?;
    }
    Way::between(bed, "a pair of devices", names)
}

/// A server of iperf3 and who asks it.
struct Way {
    what: &'static str,
    from: String,
    server: Child,
    rates: Vec<f64>,
    efficiencies: Vec<f64>,
}

impl Way {
    fn between(bed: &Bed, what: &'static str, [from, to]: [&str; 2]) -> Result<Self> {
        let server = Command::new("ip")
            .args(["netns", "exec", &bed.netns(to), "iperf3", "-s"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("iperf3")?;
        let way = Self { what, from: bed.netns(from), server, rates: Vec::new(), efficiencies: Vec::new() };
        // Until it listens and the interfaces have found one another.
        let reached = (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(100));
            way.iperf("1").is_ok()
        });
        ensure!(reached, "{what}: the server of iperf3 is not reached");
        Ok(way)
    }

    fn iperf(&self, seconds: &str) -> Result<String> {
        execute(
            "ip",
            &["netns", "exec", &self.from, "timeout", "20", "iperf3", "-c", "10.0.0.2", "-J", "-t", seconds],
        )
    }

    /// Gbit/s of one stream, and Gbit in a second of CPU time.
    fn stream(&self) -> Result<[f64; 2]> {
        let report: serde_json::Value = serde_json::from_str(&self.iperf(SECONDS)?)?;
        let end = &report["end"];
        let number =
            |value: &serde_json::Value| value.as_f64().with_context(|| format!("iperf3 said {report}"));
        let rate = number(&end["sum_received"]["bits_per_second"])? / 1e9;
        let cpu = &end["cpu_utilization_percent"];
        let percent = number(&cpu["host_total"])? + number(&cpu["remote_total"])?;
        Ok([rate, rate / (percent / 100.0)])
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}
