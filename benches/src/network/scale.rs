//! How the emulated network grows: data centers, segments across them, ports of one.

use std::time::Duration;

use anyhow::{Context, Result};
use llcm_names::DcName;
use llcm_runtime::{NetworkDriver, SegmentKind};
use llcm_testkit::{Lots, zoo};
use llcm_topology::Topology;

use super::bed::Bed;
use super::plot::{Panel, svg};
use super::ports;
use super::stall::Starts;
use crate::stats::{Clock, float, float_of, median, memory_kib};

const DATACENTERS: [usize; 5] = [50, 100, 200, 400, 1024];
const PORTS: [u32; 4] = [64, 128, 256, 512];
const SEGMENTS: u32 = 500;
const SERVICES: u32 = 200;
/// E-LANs with a bridge in each of their data centers, those of a service, and how many data centers there are.
const LANS: u32 = 128;
const LANS_OF_A_SERVICE: u32 = 32;
const LAN_DATACENTERS: usize = 20;
/// Where the plot goes, if it is wanted.
const PLOT: &str = "LLCM_BENCH_PLOT";
/// The most data centers, for a quick look.
const MOST: &str = "LLCM_BENCH_DATACENTERS";

/// Topologies of more and more data centers, with 500 segments across them each; data centers of more and more ports.
pub(crate) async fn run() -> Result<()> {
    let most = std::env::var(MOST).map_or(Ok(usize::MAX), |text| text.parse()).context(MOST)?;
    println!(
        "topologies like those of the Internet Topology Zoo (mean degree 2.5) in namespaces of the kernel; in each \
         {SEGMENTS} E-Lines of {SERVICES} services, each across two data centers that were drawn, with both ports in \
         namespaces that play containers.\nA start is a new network namespace with a pair of devices set up, every 5 ms \
         beside what is measured; goal: none waits 100 ms longer\n"
    );
    let mut rows = Vec::new();
    for (number, datacenters) in (1..).zip(DATACENTERS.into_iter().filter(|count| *count <= most)) {
        rows.push(grow(number, datacenters).await?);
    }
    tell(&rows);
    bridges(90).await?;
    let mut many = Vec::new();
    for (number, ports) in (100..).zip(PORTS) {
        many.push(ports::run(number, ports).await?);
    }
    println!(
        "\n| ports of one data center | ms per port on E-Lines | the last tenth | on one E-LAN | down, E-Lines | down, E-LAN |"
    );
    println!("|---|---|---|---|---|---|");
    for row in &many {
        let ports::Row { ports, line, last, lan, down } = row;
        println!("| {ports} | {line:.2} | {last:.2} | {lan:.2} | {:.2} | {:.2} |", down[0], down[1]);
    }
    if let Some(path) = std::env::var_os(PLOT) {
        std::fs::write(path, draw(&rows, &many))?;
    }
    Ok(())
}

/// How long starts wait while E-LANs go: a bridge holds the kernel's network lock while it is deleted.
async fn bridges(number: u32) -> Result<()> {
    let bed = Bed::new(number)?;
    let topology = zoo(LAN_DATACENTERS);
    bed.network()?.prepare(&topology).await?;
    let mut lots = Lots::new(9);
    let clock = Clock::start();
    for lan in 0..LANS {
        let mut site = || topology.datacenters[lots.pick(LAN_DATACENTERS)].name.clone();
        let ends: Vec<_> = (0..3).map(|end| (3 * lan + end, site())).collect();
        bed.segment(lan / LANS_OF_A_SERVICE, lan + 1, SegmentKind::ELan, &ends).await?;
    }
    let made = clock.ms();
    let starts = Starts::begin();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let [alone, alone_median] = spread_of(&starts.end()?);
    let starts = Starts::begin();
    let clock = Clock::start();
    for service in 0..LANS / LANS_OF_A_SERVICE {
        bed.remove(service).await?;
    }
    let down = clock.ms();
    let [beside, beside_median] = spread_of(&starts.end()?);
    bed.network()?.teardown().await?;
    println!(
        "\n{LANS} E-LANs of three ends in {LAN_DATACENTERS} data centers, {LANS_OF_A_SERVICE} a service: made in {made:.0} ms, down in \
         {down:.0} ms; slowest start {alone:.0} ms alone (median {alone_median:.1}), {beside:.0} ms beside \
         ({beside_median:.1})"
    );
    Ok(())
}

/// Milliseconds of CPU time that this process has used, its own and the kernel's for it, in steps of 10.
fn cpu_ms() -> Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold anything: the 12th and 13th, in hundredths of a second.
    let behind = stat.rsplit_once(')').context("/proc/self/stat")?.1;
    let ticks: Vec<u64> =
        behind.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(float_of(ticks.iter().sum()) * 10.0)
}

/// What a topology took, times in milliseconds.
struct Row {
    datacenters: usize,
    prepare: f64,
    prepare_cpu: f64,
    again: f64,
    restart: f64,
    cut: f64,
    segments: f64,
    segments_cpu: f64,
    with_ports: f64,
    down: f64,
    teardown: f64,
    /// The slowest start and the median: with nothing else, beside the taking down of services, beside the end of all.
    starts: [[f64; 2]; 3],
    descriptors: usize,
    threads: u64,
    memory_mib: f64,
}

async fn grow(number: u32, datacenters: usize) -> Result<Row> {
    let mut topology = zoo(datacenters);
    let mut bed = Bed::new(number)?;
    let before = memory("VmRSS")?;
    let (clock, cpu) = (Clock::start(), cpu_ms()?);
    bed.network()?.prepare(&topology).await?;
    let (prepare, prepare_cpu) = (clock.ms(), cpu_ms()? - cpu);
    let clock = Clock::start();
    bed.network()?.prepare(&topology).await?;
    let again = clock.ms();

    let pairs = pairs(&topology);
    for service in 0..SERVICES {
        bed.container(&format!("a{service}"))?;
        bed.container(&format!("b{service}"))?;
    }
    let (clock, cpu) = (Clock::start(), cpu_ms()?);
    for (segment, ends) in (0..).zip(&pairs) {
        bed.segment(segment % SERVICES, segment + 1, SegmentKind::ELine { bidirectional: true }, ends)
            .await?;
    }
    let (segments, segments_cpu) = (clock.ms(), cpu_ms()? - cpu);
    for (segment, ends) in (0..).zip(&pairs) {
        let service = segment % SERVICES;
        for ((port, dc), side) in ends.iter().zip(["a", "b"]) {
            bed.port(service, (*port, dc), segment + 1, (&format!("{side}{service}"), "", 1500)).await?;
        }
    }
    let with_ports = clock.ms();
    let descriptors = std::fs::read_dir("/proc/self/fd")?.count();
    let threads = memory("Threads")?;
    let memory_mib = (float_of(memory("VmRSS")?) - float_of(before)) / 1024.0;

    // A link beside the tree goes; all stay connected.
    topology.links.pop();
    let clock = Clock::start();
    bed.network()?.prepare(&topology).await?;
    let cut = clock.ms();
    bed.restart()?;
    let clock = Clock::start();
    bed.network()?.prepare(&topology).await?;
    let restart = clock.ms();

    let starts = Starts::begin();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let alone = spread_of(&starts.end()?);
    let starts = Starts::begin();
    let clock = Clock::start();
    for service in 0..SERVICES {
        bed.remove(service).await?;
    }
    let down = clock.ms();
    let removing = spread_of(&starts.end()?);
    let starts = Starts::begin();
    let clock = Clock::start();
    bed.network()?.teardown().await?;
    let teardown = clock.ms();
    // The kernel ends namespaces some time later.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let ending = spread_of(&starts.end()?);
    Ok(Row {
        datacenters,
        prepare,
        prepare_cpu,
        again,
        restart,
        cut,
        segments,
        segments_cpu,
        with_ports,
        down,
        teardown,
        starts: [alone, removing, ending],
        descriptors,
        threads,
        memory_mib,
    })
}

/// The ends of the segments: ports in two data centers each.
fn pairs(topology: &Topology) -> Vec<[(u32, DcName); 2]> {
    let name = |number: usize| topology.datacenters[number].name.clone();
    let count = topology.datacenters.len();
    let mut lots = Lots::new(7);
    let mut pair = |segment| {
        let (from, further) = (lots.pick(count), 1 + lots.pick(count - 1));
        [(2 * segment, name(from)), (2 * segment + 1, name((from + further) % count))]
    };
    (0..SEGMENTS).map(&mut pair).collect()
}

fn spread_of(times: &[f64]) -> [f64; 2] {
    [times.iter().copied().fold(0.0, f64::max), median(times)]
}

fn memory(field: &str) -> Result<u64> {
    memory_kib(std::process::id(), field).with_context(|| format!("no {field} in /proc/self/status"))
}

fn tell(rows: &[Row]) {
    println!(
        "| data centers | prepare (ms) | per data center | of it CPU | unchanged again | after a restart | without a link | descriptors | threads | MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        println!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} | {} | {} | {:.0} |",
            row.datacenters,
            row.prepare,
            row.prepare / float(row.datacenters),
            row.prepare_cpu / float(row.datacenters),
            row.again,
            row.restart,
            row.cut,
            row.descriptors,
            row.threads,
            row.memory_mib
        );
    }
    println!(
        "\n| data centers | {SEGMENTS} segments (ms) | of it CPU | with both ports | all down | end of the data centers | slowest (median) start alone | beside taking down | beside the end |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for row in rows {
        let starts = row.starts.map(|[most, median]| format!("{most:.0} ({median:.1})")).join(" | ");
        println!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {starts} |",
            row.datacenters, row.segments, row.segments_cpu, row.with_ports, row.down, row.teardown
        );
    }
    if let [first, .., last] = rows {
        let each = |row: &Row, figure: f64| figure / float(row.datacenters);
        println!(
            "\nfrom {} to {} data centers: set-up per data center {:.2} times, its CPU time {:.2} times; segments {:.2} \
             times, their CPU time {:.2} times",
            first.datacenters,
            last.datacenters,
            each(last, last.prepare) / each(first, first.prepare),
            each(last, last.prepare_cpu) / each(first, first.prepare_cpu),
            last.segments / first.segments,
            last.segments_cpu / first.segments_cpu
        );
    }
}

fn draw(rows: &[Row], many: &[ports::Row]) -> String {
    let along = |title: &str, figure: &dyn Fn(&Row) -> f64| Panel {
        title: title.to_owned(),
        along: "data centers".to_owned(),
        points: rows.iter().map(|row| (float(row.datacenters), figure(row))).collect(),
    };
    let ports = |title: &str, figure: &dyn Fn(&ports::Row) -> f64| Panel {
        title: title.to_owned(),
        along: "ports of one data center".to_owned(),
        points: many.iter().map(|row| (f64::from(row.ports), figure(row))).collect(),
    };
    svg(&[
        along("set-up, CPU ms per data center", &|row| row.prepare_cpu / float(row.datacenters)),
        along("unchanged again, ms", &|row| row.again),
        along("500 segments across, s", &|row| row.segments / 1e3),
        along("the same with both ports, s", &|row| row.with_ports / 1e3),
        along("file descriptors", &|row| float(row.descriptors)),
        ports("E-Lines, ms per port", &|row| row.line),
    ])
}
