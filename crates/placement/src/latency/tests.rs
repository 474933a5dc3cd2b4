//! What `latency` makes of services whose best placement is plain to see.

use super::*;
use crate::algorithm::{place_all, place_service};
use crate::model::{Demand, Unit};

/// Data centers on a line, 10 ms apart, that take so many units of one CPU each.
fn row(rooms: &[u64]) -> Vec<Site> {
    let site = |(at, room): (usize, &u64)| {
        let mut site = Site::named(&format!("dc{at}")).unwrap();
        site.datacenter.cpu_milli = Some(room * 1000);
        site
    };
    rooms.iter().enumerate().map(site).collect()
}

fn apart_by_10_ms(from: usize, to: usize) -> Option<u64> {
    Some(10_000 * u64::try_from(from.abs_diff(to)).unwrap())
}

fn units(count: usize) -> Vec<Unit> {
    let demand = Demand { cpu_milli: 1000, memory_bytes: 0 };
    (0..count).map(|at| Unit { demand, ..Unit::named(&format!("u{at}")) }).collect()
}

fn chain(count: usize) -> Vec<ServiceLink> {
    (1..count).map(|unit| ServiceLink::line(unit - 1, unit)).collect()
}

/// Where the units go, the sum of the round trips in milliseconds, and the quality.
fn placed(rooms: &[u64], count: usize, links: &[ServiceLink], delays: &dyn Delays) -> (String, u64, Quality) {
    let (sites, units) = (row(rooms), units(count));
    let service = ServiceView { sites: &sites, units: &units, links, delays, turn: 0 };
    let (placed, quality) = place_service(&Latency::default(), &service).unwrap();
    let names: Vec<_> = placed.iter().map(|placed| &placed.datacenter.as_str()[2..]).collect();
    let cost = round_trips_us(&sites, &placed, links, delays).unwrap();
    (names.join(""), cost / 1000, quality.unwrap())
}

#[test]
fn a_chain_stays_together_and_is_cut_once_where_it_must_be() {
    assert_eq!(placed(&[1, 3, 3], 3, &chain(3), &apart_by_10_ms), ("111".to_owned(), 0, Quality::Optimal));
    let (_, cost, quality) = placed(&[2, 9, 2, 2], 4, &chain(4), &apart_by_10_ms);
    assert_eq!((cost, quality), (0, Quality::Optimal));
    let (names, cost, quality) = placed(&[2, 2, 2], 4, &chain(4), &apart_by_10_ms);
    assert_eq!((names.as_str(), cost, quality), ("0011", 20, Quality::Optimal));
    // Interleaved, so that the order of the units misleads.
    let links = [ServiceLink::line(0, 2), ServiceLink::line(1, 3), ServiceLink::line(2, 1)];
    let (names, cost, _) = placed(&[2, 0, 2], 4, &links, &apart_by_10_ms);
    assert_eq!((names.as_str(), cost), ("0202", 40));
}

#[test]
fn a_lan_of_n_ends_counts_as_n_less_one_lines_of_the_mean_round_trip() {
    // 2 + 1: of three pairs two are 20 ms apart, so that the mean is 40 / 3 ms, twice.
    let (_, cost, _) = placed(&[2, 1], 3, &[ServiceLink::lan(vec![0, 1, 2])], &apart_by_10_ms);
    assert_eq!(cost, 26);
    // Leaves do not speak with one another: the root goes where most of them are.
    let tree = ServiceLink::tree(vec![3], vec![0, 1, 2]);
    let (names, cost, _) = placed(&[2, 2], 4, &[tree], &apart_by_10_ms);
    assert_eq!(cost, 40);
    assert_eq!(names.matches(&names[3..]).count(), 2);
    let line = |count: usize| ServiceLink::lan((0..count).collect()).weight();
    assert_eq!(
        (line(2), line(3), line(4)),
        (ServiceLink::LINE, ServiceLink::LINE * 2 / 3, ServiceLink::LINE / 2)
    );
}

#[test]
fn each_direction_counts() {
    // There and back differ: 0 - 1 takes 2 + 50, 0 - 2 takes 20 + 20.
    let delays = |from, to| {
        Some(match (from, to) {
            (0, 1) => 2_000,
            (1, 0) => 50_000,
            (0, 2) | (2, 0) => 20_000,
            _ => 90_000,
        })
    };
    let (names, cost, _) = placed(&[1, 1, 1], 2, &chain(2), &delays);
    assert_eq!((names.as_str(), cost), ("02", 40));
}

#[test]
fn ends_that_do_not_reach_one_another_are_no_placement() {
    let islands = |from: usize, to: usize| (from / 2 == to / 2).then_some(1000);
    let (names, cost, _) = placed(&[1, 0, 1, 1], 2, &chain(2), &islands);
    assert_eq!((names.as_str(), cost), ("23", 2));
    let (sites, units, links) = (row(&[1, 0, 1, 0]), units(2), chain(2));
    let service = ServiceView { sites: &sites, units: &units, links: &links, delays: &islands, turn: 0 };
    let error = place_service(&Latency::default(), &service).unwrap_err().to_string();
    assert!(error.starts_with("no data center can take u0: no placement of all units was found"), "{error}");
    // Without a link between them, they may be anywhere.
    let (names, ..) = placed(&[1, 0, 1, 0], 2, &[], &islands);
    assert_eq!(names, "02");
}

#[test]
fn what_is_promised_to_be_exact_is() {
    // The largest that are promised, with demands that leave little room.
    for (count, rooms) in [
        (17, vec![9, 9]),
        (11, vec![4, 4, 4]),
        (8, vec![2, 3, 2, 2]),
        (5, vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ] {
        let mut links = chain(count);
        links.push(ServiceLink::lan((0..count).step_by(2).collect()));
        links.push(ServiceLink::lan((0..count).step_by(3).collect()));
        let (_, _, quality) = placed(&rooms, count, &links, &apart_by_10_ms);
        assert_eq!(quality, Quality::Optimal, "{count} units");
    }
}

#[test]
fn units_without_links_find_room() {
    let placed = place_all(&Latency::default(), &row(&[1, 0, 2]), &units(3), 0).unwrap();
    let names: Vec<_> = placed.iter().map(|placed| placed.datacenter.as_str()).collect();
    assert_eq!(names, ["dc0", "dc2", "dc2"]);
    let error = place_all(&Latency::default(), &row(&[1, 1]), &units(3), 0).unwrap_err();
    assert!(matches!(error, PlacementError::NoPlace { .. }));
    let view = View { sites: &row(&[1, 1]), placed: &placed[..1], turn: 1 };
    assert_eq!(Latency::default().place(&view, &units(1)[0]).unwrap().datacenter.as_str(), "dc1");
    assert_eq!(place_all(&Latency::default(), &[], &units(1), 0), Err(PlacementError::NoDataCenter));
    assert_eq!(place_all(&Latency::default(), &row(&[1]), &[], 0), Ok(Vec::new()));
}

#[test]
fn large_services_are_placed_within_capacity() {
    let (count, rooms) = (600, vec![13; 50]);
    let mut links = chain(count);
    links.push(ServiceLink::lan((0..count).collect()));
    let (sites, units) = (row(&rooms), units(count));
    let service =
        ServiceView { sites: &sites, units: &units, links: &links, delays: &apart_by_10_ms, turn: 0 };
    let (placed, quality) = place_service(&Latency::default(), &service).unwrap();
    assert_eq!(quality, Some(Quality::Heuristic));
    assert_eq!(crate::overloads(&sites, &placed), vec![]);
    // Filled from one end to the other, as a person would who knows the shape: no more than one part in a hundred
    // better.
    let mut naive = placed.clone();
    for (at, placed) in naive.iter_mut().enumerate() {
        placed.datacenter = sites[at / 13].datacenter.name.clone();
    }
    let cost = |placed: &[Placed]| round_trips_us(&sites, placed, &links, &apart_by_10_ms).unwrap();
    assert!(cost(&placed) * 100 <= cost(&naive) * 101, "{} for {}", cost(&placed), cost(&naive));
}
