//! What a hostile container can send: nothing of it arrives at another segment, at another instance with the same addresses,
//! in an underlay or on the host; and that it was sent is seen in its own segments, where it arrives.

use std::collections::BTreeSet;

use llcm_runtime::{NetworkDriver, SegmentKind};

use crate::bed::{Bed, E_LINE, Plug, exec_ok, line, run};
use crate::frames::{Frame, Heard, Listener, arp, catalogue, ipv4_between, send};

/// UDP ports that tunnels listen on.
const TUNNELS: [u16; 3] = [4789, 4790, 4791];
const SITES: [&str; 3] = ["dc1", "dc2", "dc3"];

/// A container of a test: its instance, and what its interface `data` is on.
#[derive(Debug, Clone, Copy)]
struct Spot {
    instance: u32,
    name: &'static str,
    dc: &'static str,
    address: &'static str,
    segment: u32,
}

const fn spot(
    instance: u32,
    name: &'static str,
    dc: &'static str,
    address: &'static str,
    segment: u32,
) -> Spot {
    Spot { instance, name, dc, address, segment }
}

/// Two instances with an E-Line within a data center, one across, and an E-LAN over all three, and the same addresses.
/// `evil` is in each segment of the first, once.
const SPOTS: [Spot; 14] = [
    spot(0, "evil1", "dc1", "10.0.0.1/24", 1),
    spot(0, "near1", "dc1", "10.0.0.2/24", 1),
    spot(0, "evil2", "dc1", "10.0.0.1/24", 2),
    spot(0, "near2", "dc3", "10.0.0.2/24", 2),
    spot(0, "evil3", "dc1", "10.0.0.1/24", 3),
    spot(0, "near3", "dc1", "10.0.0.2/24", 3),
    spot(0, "far3", "dc2", "10.0.0.3/24", 3),
    spot(1, "other1", "dc1", "10.0.0.1/24", 11),
    spot(1, "other2", "dc1", "10.0.0.2/24", 11),
    spot(1, "other3", "dc1", "10.0.0.1/24", 12),
    spot(1, "other4", "dc3", "10.0.0.2/24", 12),
    spot(1, "other5", "dc1", "10.0.0.1/24", 13),
    spot(1, "other6", "dc1", "10.0.0.2/24", 13),
    spot(1, "other7", "dc2", "10.0.0.3/24", 13),
];

/// The ends of a segment.
fn spots_of(segment: u32) -> impl Iterator<Item = (usize, &'static Spot)> {
    SPOTS.iter().enumerate().filter(move |(_, spot)| spot.segment == segment)
}

/// The port of a spot.
fn port_of(index: usize) -> u32 {
    u32::try_from(index).unwrap() + 1
}

async fn populate(bed: &mut Bed) {
    for (segment, kind) in [(1, E_LINE), (2, E_LINE), (3, SegmentKind::ELan)] {
        for instance in [0, 1] {
            let id = instance * 10 + segment;
            let ends: Vec<_> = spots_of(id).map(|(index, spot)| (port_of(index), spot.dc)).collect();
            bed.ensure(&bed.instance(instance), id, kind, &ends).await;
        }
    }
    for (index, spot) in SPOTS.iter().enumerate() {
        bed.container(spot.name);
        let Spot { instance, name, dc, address, segment } = *spot;
        let plug =
            Plug { port: port_of(index), dc, container: name, ifname: "data", address, segments: &[segment] };
        let spec = bed.port(&bed.instance(instance), &plug);
        let spec = llcm_runtime::PortSpec { mtu: 9000, ..spec };
        bed.network().attach(&spec, &bed.point(name)).await.unwrap();
    }
}

fn mac(bed: &Bed, container: &str) -> [u8; 6] {
    parse_mac(exec_ok(&bed.netns(container), &["cat", "/sys/class/net/data/address"]).trim())
}

fn parse_mac(text: &str) -> [u8; 6] {
    let bytes: Vec<u8> = text.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// The hardware addresses of all devices of the data centers, both namespaces, and of the host.
fn device_macs(bed: &Bed) -> Vec<[u8; 6]> {
    let mut macs = Vec::new();
    let mut add = |text: String| {
        let macs_of = |line: &str| {
            let mut words = line.split_whitespace();
            words.find(|word| *word == "link/ether").and_then(|_| words.next()).map(parse_mac)
        };
        macs.extend(text.lines().filter_map(macs_of));
    };
    for dc in SITES {
        for name in [bed.dc_netns(dc), format!("{}.ul", bed.dc_netns(dc))] {
            add(run("ip", &["-n", &name, "-o", "link", "show"]));
        }
    }
    add(run("ip", &["-o", "link", "show"]));
    macs.sort_unstable();
    macs.dedup();
    macs
}

/// IPv4 addresses of the host.
fn host_addresses() -> Vec<[u8; 4]> {
    let shown = run("ip", &["-o", "-4", "addr", "show"]);
    let address = |line: &str| -> Option<std::net::Ipv4Addr> {
        line.split_whitespace().nth(3)?.split('/').next()?.parse().ok()
    };
    shown.lines().filter_map(address).map(|address| address.octets()).collect()
}

/// UDP of a tunnel's: a VXLAN header with an identifier, and a broadcast in it.
fn vxlan(from: [u8; 4], to: [u8; 4], port: u16, id: u32) -> Vec<u8> {
    let inner = [&[0xff; 6][..], &[2, 0, 0, 0, 0, 9], &[0x88, 0xb5]].concat();
    // The mark and padding of a frame follow, which are a part of what is in the tunnel.
    let length = u16::try_from(8 + 8 + inner.len() + 17).unwrap();
    let udp = [&40_000_u16.to_be_bytes()[..], &port.to_be_bytes(), &length.to_be_bytes(), &[0, 0]].concat();
    let header = [&[8, 0, 0, 0][..], &(id << 8).to_be_bytes()].concat();
    [ipv4_between(from, to, 17, length), udp, header, inner].concat()
}

/// All that a hostile container sends by an interface.
fn attacks(bed: &Bed, evil: &Spot, first: usize) -> Vec<Frame> {
    let own = mac(bed, evil.name);
    let neighbour = spots_of(evil.segment).find(|(_, spot)| spot.name != evil.name).unwrap().1;
    let mut frames = catalogue(own, mac(bed, neighbour.name), first);
    let mut add = |name, to, from, rest: &[u8]| {
        let number = first + frames.len();
        frames.push(Frame::new(name, to, from, rest, number));
    };
    let underlays = [1, 2, 3].map(|last| [100, 64, 0, last]);
    let addresses: Vec<[u8; 4]> =
        underlays.into_iter().chain(host_addresses()).chain([[127, 0, 0, 1], [10, 0, 0, 77]]).collect();
    for address in &addresses {
        add("a question for an address", [0xff; 6], own, &arp([10, 0, 0, 1], *address, own));
        add("a claim of an address", [0xff; 6], own, &arp(*address, *address, own));
    }
    let others: Vec<[u8; 6]> =
        SPOTS.iter().filter(|it| it.segment != evil.segment).map(|it| mac(bed, it.name)).collect();
    for other in &others {
        add("to another segment's", *other, own, &[0x88, 0xb5]);
        add("as another segment's", [0xff; 6], *other, &[0x88, 0xb5]);
    }
    let devices = device_macs(bed);
    for device in devices.iter().chain([&[0xff; 6]]) {
        add("to a device of a data center's or the host's", *device, own, &[0x88, 0xb5]);
        for address in &addresses {
            let ping = [ipv4_between([10, 0, 0, 1], *address, 1, 40), vec![8, 0, 0, 0]].concat();
            add("a packet to an address", *device, own, &ping);
            let spoofed = ipv4_between(*address, [10, 0, 0, 2], 17, 40);
            add("a packet as from an address", *device, own, &spoofed);
        }
    }
    let segments = [1, 2, 3, 11, 12, 13];
    for id in segments {
        for to in underlays {
            for port in TUNNELS {
                for device in devices.iter().chain([&[0xff; 6]]) {
                    add("a tunnel's packet", *device, own, &vxlan([100, 64, 0, 2], to, port, id));
                }
            }
        }
    }
    let tagged = [&[0x81, 0, 0, 1][..], &vxlan([100, 64, 0, 2], underlays[0], 4789, 11)].concat();
    add("a tunnel's packet with a tag", [0xff; 6], own, &tagged);
    frames
}

/// Whether what was heard in an underlay is a frame in the tunnel of the segment that it was sent on.
fn is_in_own_tunnel(heard: &Heard, frame: &Frame, segment: u32) -> bool {
    let (id, kind) = (segment.to_be_bytes(), &heard.bytes[12..14]);
    // Ethernet 14, IPv4 20, UDP 8, VXLAN 8.
    heard.device.starts_with('l')
        && kind == [8, 0]
        && heard.bytes[23] == 17
        && heard.bytes[36..38] == 4789_u16.to_be_bytes()
        && heard.bytes[46..49] == id[1..]
        && heard.bytes[50..] == frame.bytes
}

/// Sends all attacks by a hostile container and looks who hears what.
fn probe(bed: &Bed, evil: &Spot, first: usize) {
    let frames = attacks(bed, evil, first);
    let listen = |name: &str| Listener::begin(Some(name));
    let mut own = Listener::of_all(&bed.netns(evil.name));
    let mut spots: Vec<_> =
        SPOTS.iter().filter(|it| it.name != evil.name).map(|it| (it, listen(&bed.netns(it.name)))).collect();
    let mut sites =
        SITES.map(|dc| (dc, listen(&bed.dc_netns(dc)), listen(&format!("{}.ul", bed.dc_netns(dc)))));
    let mut host = Listener::begin(None);
    send(&bed.netns(evil.name), "data", &frames);
    spots.iter_mut().for_each(|(_, listener)| listener.stop());
    sites
        .iter_mut()
        .for_each(|(_, overlay, underlay)| [overlay, underlay].into_iter().for_each(Listener::stop));
    [&mut own, &mut host].into_iter().for_each(Listener::stop);
    let is_lan = evil.segment == 3;
    for (spot, listener) in spots {
        let heard = listener.end();
        if spot.segment != evil.segment {
            assert_eq!(heard.len(), 0, "{} heard {} by {heard:x?}", spot.name, evil.name);
            continue;
        }
        // That the attacks were made: within the segment they arrive, but for what no bridge forwards, and what a bridge
        // takes to be for others.
        let numbers: BTreeSet<usize> = heard.iter().filter_map(|it| it.number).collect();
        for frame in &frames {
            let arrived = numbers.contains(&frame.number());
            let kept = is_lan
                && (frame.name.starts_with("PAUSE")
                    || frame.name.starts_with("to a device")
                    || frame.bytes[0] & 1 == 0);
            assert!(arrived || kept, "{}: {} did not arrive", spot.name, frame.name);
        }
    }
    let own_ports: Vec<String> =
        spots_of(evil.segment).map(|(index, _)| format!("p{:x}", port_of(index))).collect();
    let of_segment = |device: &str| {
        own_ports.iter().any(|own| own == device)
            || [format!("s{:x}", evil.segment), format!("v{:x}", evil.segment)]
                .iter()
                .any(|own| own == device)
    };
    for (dc, overlay, underlay) in sites {
        for heard in overlay.end() {
            assert!(of_segment(&heard.device), "{dc}: {} heard {}: {heard:x?}", heard.device, evil.name);
        }
        for heard in underlay.end() {
            let known = &frames[heard.number.unwrap() - first];
            assert!(evil.segment != 1, "{dc}: a frame of a segment within a data center: {heard:x?}");
            assert!(
                is_in_own_tunnel(&heard, known, evil.segment),
                "{dc}: underlay heard {}: {heard:x?}",
                known.name
            );
        }
    }
    let heard = host.end();
    assert_eq!(heard.len(), 0, "the host heard {}: {heard:x?}", evil.name);
    // Nobody but the segment's own containers answers.
    let peers: Vec<[u8; 6]> = spots_of(evil.segment).map(|(_, spot)| mac(bed, spot.name)).collect();
    for heard in own.end() {
        assert!(
            peers.iter().any(|peer| heard.bytes[6..12] == *peer),
            "{} was answered: {heard:x?}",
            evil.name
        );
    }
}

#[tokio::test]
async fn what_a_hostile_container_sends_stays_in_its_segment() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    populate(&mut bed).await;
    for (number, evil) in ["evil1", "evil2", "evil3"].iter().enumerate() {
        let evil = SPOTS.iter().find(|spot| spot.name == *evil).unwrap();
        probe(&bed, evil, (number + 1) * 1_000_000);
    }
    // The others are as they were.
    for (from, to) in [("other1", 2), ("other3", 2), ("other5", 2), ("other5", 3), ("near3", 3)] {
        bed.reaches(from, &format!("10.0.0.{to}"));
    }
}
