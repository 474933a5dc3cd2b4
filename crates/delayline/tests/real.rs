//! Lines between real TAP devices, in network namespaces of the test's own. Without root, or where there is no
//! `/dev/net/tun`, they are skipped with a message; with `LLCM_REQUIRE_SYSTEM_TESTS=1` that is a failure.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::print_stderr, reason = "says what is skipped")]

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use llcm_delayline::{Impairment, Lines};
use llcm_netlink::link_kind::{Vxlan, add_vxlan};
use llcm_netlink::{Socket, address, fdb, link, netns};

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
        // What it costs beyond is measured elsewhere; this machine may be busy, and delay all but one of them.
        assert!(seen[0] < delay + 5 * MS, "{seen:?}");
    }
}

#[test]
fn a_change_loses_nothing_and_takes_effect_at_once() {
    let Some(mut ends) = ends() else { return };
    let lines = Lines::start().unwrap();
    lines.put(NAME, ends.taps(), [delayed(300 * MS), delayed(MS)]).unwrap();
    let [a, b] = ends.sockets();
    // A busy machine may take its time: one of five changes has to be quick, none may lose anything.
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        lines.set(NAME, [delayed(300 * MS), delayed(MS)]).unwrap();
        for number in 0..200_u8 {
            a.send(&[number]).unwrap();
            std::thread::sleep(MS / 2);
        }
        let began = Instant::now();
        lines.set(NAME, [delayed(MS), delayed(MS)]).unwrap();
        for number in 0..200 {
            assert_eq!(receive(&b).unwrap(), [number]);
        }
        quickest = quickest.min(began.elapsed());
        if quickest < 50 * MS {
            break;
        }
    }
    assert!(quickest < 50 * MS, "{quickest:?}");
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

/// A kernel that can give whole frames in tunnels refuses to give one that it holds when it has just been told not to.
#[test]
fn frames_that_became_too_large_are_dropped_and_the_link_stays() {
    let Some(mut ends) = ends() else { return };
    let lines = Lines::start().unwrap();
    let taps = ends.taps();
    let again = || taps.each_ref().map(|tap| tap.try_clone().unwrap());
    lines.put(NAME, again(), [Impairment::default(); 2]).unwrap();
    let [a, b] = ends.sockets();
    let tunnel = |end: u8| {
        let netns = ends.namespaces[usize::from(end)].as_fd();
        let [near, far] = [[10, 0, 0, end + 1], [10, 0, 0, 2 - end]].map(Ipv4Addr::from);
        let make = || {
            let mut socket = Socket::open().unwrap();
            let vxlan =
                Vxlan { name: "v", group: 1, id: 1, port: 4789, local: near, learning: false, mtu: 1400 };
            add_vxlan(&mut socket, netns, &vxlan).unwrap();
            let device = link::find(&mut socket, "v").unwrap().unwrap().device();
            fdb::add_flood(&mut socket, device, far).unwrap();
            address::add(&mut socket, device, format!("10.1.0.{}/24", end + 1).parse().unwrap()).unwrap();
            link::change(&mut socket, device, &link::Change { up: Some(true), ..Default::default() })
                .unwrap();
        };
        netns::visit(netns, make).unwrap();
    };
    tunnel(0);
    tunnel(1);
    let listener =
        netns::visit(ends.namespaces[1].as_fd(), || TcpListener::bind("10.1.0.2:9")).unwrap().unwrap();
    let connect = || TcpStream::connect("10.1.0.2:9");
    let mut stream = netns::visit(ends.namespaces[0].as_fd(), connect).unwrap().unwrap();
    let _accepted = listener.accept().unwrap();
    // Nobody reads, and the device holds what is sent.
    lines.remove(NAME).unwrap();
    stream.write_all(&[7; 10_000]).unwrap();
    std::thread::sleep(5 * MS);
    let lossy = Impairment { loss_ppm: 1, ..Impairment::default() };
    lines.put(NAME, again(), [lossy, lossy]).unwrap();
    one_way(&a, &b);
    let view = lines.list().unwrap().remove(0);
    assert_eq!(view.name, NAME);
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
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", names());
        std::thread::sleep(MS);
    }
    lines.set("first", [delayed(MS); 2]).unwrap_err();
    second.sockets();
    lines.remove("second").unwrap();
    lines.remove("second").unwrap();
    assert!(names().is_empty() && lines.is_empty());
}
