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
    assert_eq!(place_service(&Latency::default(), &service), Err(PlacementError::Apart));
    // Without a link between them, they may be anywhere.
    let (names, ..) = placed(&[1, 0, 1, 0], 2, &[], &islands);
    assert_eq!(names, "02");
}

/// The least cost that units have which are placed from a position on, by trying all; `rooms` are for that many units each.
fn best(rooms: &mut [u64], at: &mut Vec<usize>, count: usize, links: &[ServiceLink]) -> u128 {
    if at.len() == count {
        return links.iter().map(|link| state::cost_of(link, at, &apart_by_10_ms).unwrap()).sum();
    }
    let mut least = u128::MAX;
    for site in 0..rooms.len() {
        if rooms[site] > 0 {
            rooms[site] -= 1;
            at.push(site);
            least = least.min(best(rooms, at, count, links));
            at.pop();
            rooms[site] += 1;
        }
    }
    least
}

#[test]
fn what_is_promised_to_be_exact_is() {
    // The largest that are promised, with demands that leave little room.
    for (count, mut rooms) in [
        (17, vec![9, 9]),
        (11, vec![4, 4, 4]),
        (8, vec![2, 3, 2, 2]),
        (5, vec![1, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
    ] {
        let mut links = chain(count);
        links.push(ServiceLink::lan((0..count).step_by(2).collect()));
        links.push(ServiceLink::lan((0..count).step_by(3).collect()));
        let (sites, units) = (row(&rooms), units(count));
        let service =
            ServiceView { sites: &sites, units: &units, links: &links, delays: &apart_by_10_ms, turn: 0 };
        let (placed, quality) = place_service(&Latency::default(), &service).unwrap();
        assert_eq!(quality, Some(Quality::Optimal), "{count} units");
        let at: Vec<usize> =
            placed.iter().map(|placed| placed.datacenter.as_str()[2..].parse().unwrap()).collect();
        let cost: u128 = links.iter().map(|link| state::cost_of(link, &at, &apart_by_10_ms).unwrap()).sum();
        assert_eq!(cost, best(&mut rooms, &mut Vec::new(), count, &links), "{count} units");
    }
}

/// A data center in the middle, all with room for one unit: many placements cost the same, so that few branches are cut.
fn star(sites: usize) -> impl Fn(usize, usize) -> Option<u64> {
    move |from, to| {
        assert!(from < sites && to < sites);
        Some(if from == 0 || to == 0 { 5_000 } else { 10_000 })
    }
}

#[test]
fn the_exact_search_counts_all_that_it_does() {
    for (count, sites, links) in [
        (5, 101, vec![ServiceLink::lan((0..5).collect())]),
        (4, 4096, vec![ServiceLink::lan((0..4).collect())]),
        (6, 200, (0..6).flat_map(|a| (0..a).map(move |b| ServiceLink::line(a, b))).collect()),
    ] {
        let (rooms, units, delays) = (row(&vec![1; sites]), units(count), star(sites));
        let service = ServiceView { sites: &rooms, units: &units, links: &links, delays: &delays, turn: 0 };
        let map = Map::new(&service);
        let mut search = exact::Search::new(&map, None, Latency::STEPS);
        assert_eq!(search.descend(0), None, "{sites} sites: it ends before all was looked at");
        let placed = usize::try_from(search.placed).unwrap();
        // Each unit that is placed changes what others cost at all sites, and leads to all sites being looked at again,
        // but for the last one, which is placed once for all sites looked at.
        assert!(placed * sites <= 10_000_000, "{placed} units were placed on {sites} sites");
        assert!(search.best.is_some());
    }
}

#[test]
fn the_heuristic_stops_when_its_work_is_done() {
    let (count, sites) = (200, 100);
    let mut links = chain(count);
    links.push(ServiceLink::lan((0..count).collect()));
    let (rooms, units) = (row(&vec![3; sites]), units(count));
    let service =
        ServiceView { sites: &rooms, units: &units, links: &links, delays: &apart_by_10_ms, turn: 0 };
    let map = Map::new(&service);
    let spent = |work| {
        let mut search = heuristic::Search::new(&map, work);
        assert!(search.run().is_some(), "the first start is finished");
        search.spent
    };
    let first = spent(1);
    // A site is looked at for each unit, its seat on the E-LAN and a chain's two, and the E-LAN's sites when it is put.
    assert!(first >= 200 * 100 * 3, "{first}");
    // Shifting each unit once would take as much again.
    assert!(first <= 200 * 100 * 6, "{first}");
    let more = 10 * first;
    assert!(spent(more) <= more + first, "{} of {more}", spent(more));
}

#[test]
fn few_sites_are_looked_at_where_there_are_thousands() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    struct Asked(AtomicUsize);
    impl Delays for Asked {
        fn delay_us(&self, from: usize, to: usize) -> Option<u64> {
            self.0.fetch_add(1, Ordering::Relaxed);
            star(4096)(from, to)
        }
    }
    let asked = |count, links: &[ServiceLink], rooms: Vec<u64>| {
        let (sites, units, delays) = (row(&rooms), units(count), Asked(AtomicUsize::new(0)));
        let service = ServiceView { sites: &sites, units: &units, links, delays: &delays, turn: 0 };
        let (placed, _) = place_service(&Latency::heuristic(), &service).unwrap();
        assert_eq!(crate::overloads(&sites, &placed), vec![]);
        (placed, delays.0.into_inner())
    };
    assert_eq!(asked(3, &[], vec![1; 4096]).1, 0, "without links no distance counts");
    assert_eq!(asked(1, &[ServiceLink::lan(vec![0, 0])], vec![1; 4096]).1, 0);
    let (_, times) = asked(4, &chain(4), vec![1; 4096]);
    assert!(times < 4096 * 4096 / 4, "{times}");
    // The one that takes all is found among them.
    let mut rooms = vec![1; 4096];
    rooms[3210] = 9;
    let (placed, _) = asked(4, &chain(4), rooms);
    assert!(placed.iter().all(|placed| placed.datacenter.as_str() == "dc3210"), "{placed:?}");
}

#[test]
fn round_trips_that_are_not_told_apart_are_not_called_the_best() {
    let far = |days: u64| move |_: usize, _: usize| Some(days * 86_400 * 1_000_000);
    let quality = |days| placed(&[1, 1], 2, &chain(2), &far(days)).2;
    assert_eq!((quality(5), quality(7)), (Quality::Optimal, Quality::Heuristic));
}

/// What a placement costs is kept up as units come and go: it is what the links cost.
#[test]
fn the_cost_that_is_kept_up_is_that_of_the_links() {
    let mut lot = 1_u64;
    let mut below = |limit: usize| {
        lot = lot.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(lot >> 33).unwrap() % limit
    };
    // Few sites, so that large links are held by site, and many, so that they are held by end.
    for sites in [2, 3, 20, 60] {
        let count = 9;
        let mut links = chain(count);
        links.push(ServiceLink::lan((0..count).collect()));
        links.push(ServiceLink::lan(vec![0, 3, 3, 5, 7, 7, 8]));
        links.push(ServiceLink::tree(vec![1, 4], vec![0, 2, 2, 3, 4, 6, 8]));
        links.push(ServiceLink::tree(vec![8], vec![7]));
        let delays = |from: usize, to: usize| Some(u64::try_from(from * 7 + to * 3).unwrap() * 1_000);
        let (rooms, units) = (row(&vec![9; sites]), units(count));
        let service = ServiceView { sites: &rooms, units: &units, links: &links, delays: &delays, turn: 0 };
        let map = Map::new(&service);
        let mut placement = state::State::new(&map);
        for unit in 0..count {
            let site = below(sites);
            placement.put(unit, site, placement.price(unit, site));
        }
        for _ in 0..200 {
            let (unit, site) = (below(count), below(sites));
            placement.take(unit).unwrap();
            placement.put(unit, site, placement.price(unit, site));
            let at = placement.all().unwrap();
            let cost: u128 = links.iter().map(|link| state::cost_of(link, &at, &delays).unwrap()).sum();
            assert_eq!(placement.cost, cost, "{at:?}");
        }
    }
}

#[test]
fn what_has_no_room_is_named_and_the_same_for_all_that_look_for_room() {
    let sites = row(&[4, 4]);
    let mut units = units(2);
    (units[0].demand.cpu_milli, units[1].demand.cpu_milli) = (100, 100_000);
    let large = PlacementError::NoRoom { unit: "u1".to_owned() };
    for algorithm in [&Latency::default() as &dyn Placement, &crate::LeastLoaded] {
        assert_eq!(place_all(algorithm, &sites, &units, 0).as_ref(), Err(&large));
    }
    let message = "no data center can take u1: none has the CPU and the memory free that it demands";
    assert_eq!(large.to_string(), message);
}

#[test]
fn a_link_has_ends_that_are_units() {
    let (sites, units) = (row(&[4, 4]), units(2));
    let links = [ServiceLink::line(0, 2)];
    let service =
        ServiceView { sites: &sites, units: &units, links: &links, delays: &apart_by_10_ms, turn: 0 };
    let refused = Err(PlacementError::UnknownUnit { unit: 2, units: 2 });
    assert_eq!(place_service(&Latency::default(), &service), refused);
    assert_eq!(place_service(&crate::First, &service), refused);
    assert_eq!(Latency::default().place_service(&service).map(|_| ()), refused.map(|_| ()));
}

#[test]
fn units_without_links_find_room() {
    let placed = place_all(&Latency::default(), &row(&[1, 0, 2]), &units(3), 0).unwrap();
    let names: Vec<_> = placed.iter().map(|placed| placed.datacenter.as_str()).collect();
    assert_eq!(names, ["dc0", "dc2", "dc2"]);
    let error = place_all(&Latency::default(), &row(&[1, 1]), &units(3), 0).unwrap_err();
    assert_eq!(error, PlacementError::NoRoomTogether);
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
