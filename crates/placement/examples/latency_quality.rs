//! How much the heuristic of `latency` misses, and how long both searches take.
//!
//! `cargo run --release -p llcm-placement --example latency_quality [SERVICES]`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example shows its results")]

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which try all placements")]
mod common;

use std::time::{Duration, Instant};

use common::{Case, Lots, random};
use llcm_placement::{
    Delays, Demand, Latency, Quality, ServiceLink, ServiceView, Site, Unit, place_service, round_trips_us,
};
use llcm_topology::{DataCenter, Link, Paths};

fn main() {
    let services: u64 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(500);
    println!("heuristic against exact, {services} random services each");
    println!(
        "units DCs  none exact-only  equal  mean-ratio worst-ratio  best-0-missed  exact-ms(max) heuristic-ms(max) proven"
    );
    for (units, sites) in [(3, 3), (5, 3), (6, 4), (8, 4), (10, 4), (12, 3), (16, 2), (12, 6), (20, 8)] {
        compare(units, sites, services);
    }
    println!("\nlarge services: a chain with an E-LAN over all, capacity 1.3 times the demand");
    println!("units DCs  ms  ms-per-round-trip-sum");
    for (units, sites) in [(100, 20), (1000, 20), (1000, 200), (5000, 200)] {
        large(units, sites);
    }
    println!("\nthe largest topologies, each data center with room for one unit: five units on an E-LAN");
    println!("shape              DCs links  CPU-ms  ms-per-round-trip-sum");
    for (shape, links) in [("star", star()), ("ring", ring(1)), ("ring with chords", ring(16))] {
        largest(shape, &links);
    }
}

/// The largest number of data centers that a topology file may have.
const MOST: usize = 4096;

/// A data center in the middle.
fn star() -> Vec<(usize, usize)> {
    (1..MOST).map(|to| (0, to)).collect()
}

/// A link from each data center to so many next ones.
fn ring(chords: usize) -> Vec<(usize, usize)> {
    (0..MOST).flat_map(|from| (1..=chords).map(move |over| (from, (from + over * over) % MOST))).collect()
}

struct Distances<'a>(Paths<'a>);

impl Delays for Distances<'_> {
    fn delay_us(&self, from: usize, to: usize) -> Option<u64> {
        self.0.delay_by_number_us(from, to)
    }

    fn round_trips_us(&self, of: usize, _sites: usize) -> Vec<Option<u64>> {
        self.0.round_trips_us(of)
    }
}

fn largest(shape: &str, links: &[(usize, usize)]) {
    let mut topology = llcm_topology::default_topology();
    let (datacenter, link) = (topology.datacenters.remove(0), topology.links.remove(0));
    topology.datacenters = (0..MOST)
        .map(|number| DataCenter { name: format!("dc{number}").parse().unwrap(), ..datacenter.clone() })
        .collect();
    let link = |(number, (from, to)): (usize, &(usize, usize))| {
        let mut link = link.clone();
        for (end, dc) in [(&mut link.a, from), (&mut link.b, to)] {
            end.dc = topology.datacenters[*dc].name.clone();
            // Unlike ones, so that there is something to choose.
            end.egress.delay_us = 1000 + u64::try_from(number % 97).unwrap();
        }
        Link { name: number.to_string(), ..link }
    };
    topology.links = links.iter().enumerate().map(link).collect();
    let site = |number: usize| {
        let mut site = Site::named(&format!("dc{number}")).unwrap();
        site.datacenter.cpu_milli = Some(1000);
        site
    };
    let sites: Vec<Site> = (0..MOST).map(site).collect();
    let demand = Demand { cpu_milli: 1000, memory_bytes: 0 };
    let units: Vec<Unit> = (0..5).map(|at| Unit { demand, ..Unit::named(&format!("u{at}")) }).collect();
    let lan = [ServiceLink::lan((0..5).collect())];
    let begin = cpu_time();
    let delays = Distances(Paths::new(&topology));
    let service = ServiceView { sites: &sites, units: &units, links: &lan, delays: &delays, turn: 0 };
    let (placed, quality) = place_service(&Latency::default(), &service).unwrap();
    let time = cpu_time() - begin;
    let cost = round_trips_us(&sites, &placed, &lan, &delays);
    println!(
        "{shape:<16} {MOST:>5} {:>5} {:>7.0}  {:?}",
        links.len(),
        time.as_secs_f64() * 1e3,
        (cost, quality)
    );
}

/// What this thread has had of the CPUs: other programs do not count.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

#[derive(Default)]
struct Seen {
    none: u64,
    exact_only: u64,
    compared: u64,
    equal: u64,
    missed: u64,
    sum: f64,
    worst: f64,
    exact: Duration,
    heuristic: Duration,
    proven: u64,
}

fn compare(units: usize, sites: usize, services: u64) {
    let mut seen = Seen::default();
    for seed in 0..services {
        let case = random(&mut Lots(seed ^ 0x5eed_0000), units, sites);
        let (best, time) = timed(&Latency::default(), &case);
        seen.exact = seen.exact.max(time);
        let (found, time) = timed(&Latency::heuristic(), &case);
        seen.heuristic = seen.heuristic.max(time);
        let Some((best, quality)) = best else {
            seen.none += 1;
            continue;
        };
        seen.proven += u64::from(quality == Some(Quality::Optimal));
        let Some((cost, _)) = found else {
            seen.exact_only += 1;
            continue;
        };
        seen.compared += 1;
        seen.equal += u64::from(cost == best);
        match (cost, best) {
            (0, _) => seen.sum += 1.0,
            (_, 0) => seen.missed += 1,
            _ => {
                #[expect(clippy::cast_precision_loss, reason = "a ratio of small numbers")]
                let ratio = cost as f64 / best as f64;
                seen.sum += ratio;
                seen.worst = seen.worst.max(ratio);
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a mean of small numbers")]
    let mean = seen.sum / (seen.compared - seen.missed).max(1) as f64;
    println!(
        "{units:>5} {sites:>3} {:>5} {:>10} {:>6} {mean:>11.4} {:>11.3} {:>14} {:>14.1} {:>17.2} {:>6}",
        seen.none,
        seen.exact_only,
        seen.equal,
        seen.worst,
        seen.missed,
        seen.exact.as_secs_f64() * 1e3,
        seen.heuristic.as_secs_f64() * 1e3,
        seen.proven,
    );
}

fn timed(algorithm: &Latency, case: &Case) -> (Option<(u64, Option<Quality>)>, Duration) {
    let begin = Instant::now();
    let answer = place_service(algorithm, &case.view());
    let time = begin.elapsed();
    let answer = answer.ok().map(|(placed, quality)| (case.cost(&placed).unwrap(), quality));
    (answer, time)
}

fn large(units: usize, sites: usize) {
    let mut case = random(&mut Lots(1), units, sites);
    // One that is apart would have no room for anything that is linked.
    case.delays.iter_mut().for_each(|delay| *delay = Some(delay.unwrap_or(90_000)));
    for at in 0..sites {
        case.delays[at * sites + at] = Some(0);
    }
    let demand: u64 = case.units.iter().map(|unit| unit.demand.cpu_milli).sum();
    for site in &mut case.sites {
        site.load = Demand::default();
        site.datacenter.cpu_milli = Some(demand * 13 / 10 / u64::try_from(sites).unwrap());
        site.datacenter.memory_bytes = None;
    }
    let ends = (0..units).collect();
    case.links = (1..units).map(|unit| ServiceLink::line(unit - 1, unit)).collect();
    case.links.push(ServiceLink::lan(ends));
    let (answer, time) = timed(&Latency::default(), &case);
    println!("{units:>5} {sites:>3} {:>7.1}  {:?}", time.as_secs_f64() * 1e3, answer);
}
