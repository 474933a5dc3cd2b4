//! How much the heuristic of `latency` misses, and how long both searches take.
//!
//! `cargo run --release -p llcm-placement --example latency_quality [SERVICES]`
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "an example shows its results")]

#[path = "../tests/common/mod.rs"]
#[expect(dead_code, reason = "shared with the tests, which try all placements")]
mod common;

use std::time::{Duration, Instant};

use common::{Case, Lots, random};
use llcm_placement::{Latency, Quality, place_service};

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
        site.load = llcm_placement::Demand::default();
        site.datacenter.cpu_milli = Some(demand * 13 / 10 / u64::try_from(sites).unwrap());
        site.datacenter.memory_bytes = None;
    }
    let ends = (0..units).collect();
    case.links = (1..units).map(|unit| llcm_placement::ServiceLink::line(unit - 1, unit)).collect();
    case.links.push(llcm_placement::ServiceLink::lan(ends));
    let (answer, time) = timed(&Latency::default(), &case);
    println!("{units:>5} {sites:>3} {:>7.1}  {:?}", time.as_secs_f64() * 1e3, answer);
}
