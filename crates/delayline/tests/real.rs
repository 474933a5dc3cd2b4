//! Lines between real TAP devices, in network namespaces of the test's own. Without root, or where there is no
//! `/dev/net/tun`, they are skipped with a message; with `LLCM_REQUIRE_SYSTEM_TESTS=1` that is a failure.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::print_stderr, reason = "says what is skipped")]

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use llcm_delayline::{Impairment, Lines};
use llcm_netlink::{Socket, link, netns};

mod kit;
use kit::{MS, delayed, ends, one_way, receive};

const NAME: &str = "a-b";

#[test]
fn each_direction_has_a_delay_of_its_own() {
    let Some(mut ends) = ends() else { return };
    let lines = Lines::start().unwrap();
    lines.put(NAME, ends.taps(), [delayed(20 * MS), delayed(5 * MS)]).unwrap();
    let [a, b] = ends.sockets();
    for (from, to, delay) in [(&a, &b, 20 * MS), (&b, &a, 5 * MS)] {
        let mut seen: Vec<_> = (0..9).map(|_| one_way(from, to)).collect();
        seen.sort();
        assert!(seen[0] + MS / 2 > delay, "{seen:?}");
        // What it costs beyond is measured elsewhere; this machine may be busy.
        assert!(seen[4] < delay + 5 * MS, "{seen:?}");
    }
}

#[test]
fn a_change_loses_nothing_and_takes_effect_at_once() {
    let Some(mut ends) = ends() else { return };
    let lines = Lines::start().unwrap();
    lines.put(NAME, ends.taps(), [delayed(300 * MS), delayed(MS)]).unwrap();
    let [a, b] = ends.sockets();
    for number in 0..200_u8 {
        a.send(&[number]).unwrap();
        std::thread::sleep(MS / 2);
    }
    let began = Instant::now();
    lines.set(NAME, [delayed(MS), delayed(MS)]).unwrap();
    for number in 0..200 {
        assert_eq!(receive(&b).unwrap(), [number]);
    }
    assert!(began.elapsed() < 50 * MS, "{:?}", began.elapsed());
    let view = &lines.list().unwrap()[0];
    assert_eq!((view.counters[0].lost, view.counters[0].dropped), (0, 0));
    assert_eq!(view.impairments[0].delay, MS);
}

#[test]
fn losses_are_counted_and_can_be_switched() {
    let Some(mut ends) = ends() else { return };
    let lines = Lines::start().unwrap();
    lines.put(NAME, ends.taps(), [Impairment::default(); 2]).unwrap();
    let [a, b] = ends.sockets();
    lines
        .set(NAME, [Impairment { loss_ppm: 500_000, ..Impairment::default() }, Impairment::default()])
        .unwrap();
    let arrived = std::thread::scope(|scope| {
        let counting = scope.spawn(|| {
            let each = std::iter::from_fn(|| Some(receive(&b).unwrap()));
            each.take_while(|it| it != b"last").count()
        });
        for _ in 0..1000 {
            a.send(b"x").unwrap();
            std::thread::sleep(MS / 5);
        }
        lines.set(NAME, [Impairment::default(); 2]).unwrap();
        a.send(b"last").unwrap();
        counting.join().unwrap()
    });
    // Five standard deviations.
    assert!((500 - 80..500 + 80).contains(&arrived), "{arrived}");
    let counters = lines.list().unwrap()[0].counters[0];
    assert_eq!(counters.lost + counters.dropped, 1000 - u64::try_from(arrived).unwrap());
}

#[test]
fn links_go_with_their_devices_and_by_name() {
    let (Some(mut first), Some(mut second)) = (ends(), ends()) else { return };
    let lines = Lines::start().unwrap();
    lines.put("first", first.taps(), [delayed(MS); 2]).unwrap();
    lines.put("second", second.taps(), [delayed(MS); 2]).unwrap();
    let namespace = first.namespaces[0].as_fd();
    let delete = || {
        let mut socket = Socket::open().unwrap();
        let device = link::find(&mut socket, "end").unwrap().unwrap().device();
        link::delete(&mut socket, device).unwrap();
    };
    netns::visit(namespace, delete).unwrap();
    let names = || lines.list().unwrap().into_iter().map(|it| it.name).collect::<Vec<_>>();
    let began = Instant::now();
    while names() != ["second"] {
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", names());
        std::thread::sleep(MS);
    }
    lines.set("first", [delayed(MS); 2]).unwrap_err();
    second.sockets();
    lines.remove("second").unwrap();
    lines.remove("second").unwrap();
    assert!(names().is_empty() && lines.is_empty());
}
