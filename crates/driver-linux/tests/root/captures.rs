//! Captures and counters in the kernel: frames as they are on links, tags, and what is dropped.

use std::collections::BTreeMap;

use async_trait::async_trait;
use llcm_names::PortId;
use llcm_runtime::{
    CaptureEnd, CapturePoint, CaptureSpec, ChainEnd, ChainSpec, Direction, Frame, FrameSink, NetworkDriver,
};
use tokio::sync::oneshot;

use crate::bed::{Bed, E_LINE, Plug, dc, exec_ok, line, segment_id, single};
use crate::sniff::{numbered, send};

/// Keeps frames until there are enough, or until nothing is to be seen any more; takes none before it may.
struct Kept {
    begun: Option<oneshot::Sender<()>>,
    may_take: Option<oneshot::Receiver<()>>,
    wanted: usize,
    frames: Vec<Frame>,
}

#[async_trait]
impl FrameSink for Kept {
    async fn began(&mut self) -> bool {
        self.begun.take().unwrap().send(()).unwrap();
        true
    }

    async fn frame(&mut self, frame: Frame) -> bool {
        if let Some(may_take) = self.may_take.take() {
            may_take.await.unwrap();
        }
        self.frames.push(frame);
        self.frames.len() < self.wanted
    }
}

/// The frames at a point, until there are enough, while a test does something, and the end.
async fn captured(
    bed: &Bed,
    point: CapturePoint,
    wanted: usize,
    work: impl AsyncFnOnce(oneshot::Sender<()>),
) -> (Vec<Frame>, CaptureEnd) {
    let (begun, begins) = oneshot::channel();
    let (release, may_take) = oneshot::channel();
    let mut kept = Kept { begun: Some(begun), may_take: Some(may_take), wanted, frames: Vec::new() };
    let spec = CaptureSpec { point, snap_length: 1500, duration: None };
    let capturing = bed.network().capture().unwrap().capture(&spec, &mut kept);
    let working = async {
        begins.await.unwrap();
        work(release).await;
    };
    let (end, ()) = tokio::join!(capturing, working);
    (kept.frames, end.unwrap())
}

/// Port 1 in dc1, with its container `a`, on nothing.
async fn alone(bed: &mut Bed) -> CapturePoint {
    bed.container("a");
    let plug =
        Plug { port: 1, dc: "dc1", container: "a", ifname: "data", address: "10.0.0.1/24", segments: &[] };
    bed.attach(&bed.instance(0), &plug).await;
    bed.silence("a");
    CapturePoint::Port { owner: bed.instance(0).owner, datacenter: dc("dc1"), port: PortId::new(1) }
}

/// Of an ICMP message on a link, in VXLAN: its sequence number, the way it goes, and its kind.
fn carried(frame: &Frame) -> Option<(u16, (Direction, u8))> {
    // Ethernet, IPv4, UDP, VXLAN; then the VNFs' Ethernet and IPv4.
    let is_vxlan = frame.bytes.get(36..38) == Some(&4789_u16.to_be_bytes());
    let is_icmp = is_vxlan && frame.bytes.get(62..64) == Some(&[8, 0]) && frame.bytes.get(73) == Some(&1);
    let number = frame.bytes.get(90..92).filter(|_| is_icmp)?.try_into().ok()?;
    Some((u16::from_be_bytes(number), (frame.direction, frame.bytes[84])))
}

#[tokio::test]
async fn a_link_shows_what_crosses_it_at_both_ends() {
    let Some(mut bed) = Bed::new(&line()).await else { return };
    let instance = bed.instance(0);
    bed.ensure(&instance, 1, E_LINE, &[(1, "dc1"), (2, "dc3")]).await;
    for (port, dc, name) in [(1, "dc1", "a"), (2, "dc3", "b")] {
        bed.container(name);
        let address = format!("10.0.0.{port}/24");
        let plug = Plug { port, dc, container: name, ifname: "data", address: &address, segments: &[1] };
        bed.attach(&instance, &plug).await;
    }
    bed.reaches("a", "10.0.0.2");
    for (end, request, answer) in
        [("dc2", Direction::Received, Direction::Sent), ("dc1", Direction::Sent, Direction::Received)]
    {
        let point = CapturePoint::Link { name: "dc1-dc2".to_owned(), end: dc(end) };
        let netns = bed.netns("a");
        // What asks for hardware addresses from time to time may be among them, and answers may be late.
        let (frames, _) = captured(&bed, point, 20, async |release| {
            release.send(()).unwrap();
            let ping = ["ping", "-n", "-c", "20", "-i", "0.1", "10.0.0.2"].map(str::to_owned);
            let speak = move || {
                let words: Vec<&str> = ping.iter().map(String::as_str).collect();
                exec_ok(&netns, &words);
            };
            tokio::task::spawn_blocking(speak).await.unwrap();
        })
        .await;
        // Requests may come before the answers to those before them.
        let mut seen: BTreeMap<u16, Vec<(Direction, u8)>> = BTreeMap::new();
        for (number, message) in frames.iter().filter_map(carried) {
            seen.entry(number).or_default().push(message);
        }
        let pair = [(request, 8), (answer, 0)];
        let whole = seen.values().filter(|messages| messages.len() == 2).count();
        assert!(whole >= 2, "at {end}: {seen:?}");
        // Of the last ones the answers may be missing.
        assert!(seen.values().all(|messages| pair.starts_with(messages)), "at {end}: {seen:?}");
    }
}

/// The kernel takes a VLAN tag out of what it receives; a capture has the frame as it was sent.
#[tokio::test]
async fn frames_with_tags_are_shown_as_they_were_sent() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let point = alone(&mut bed).await;
    let plain = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &[0x88, 0xb5], &[7; 50]].concat();
    let tagged = |tags: &[u8]| [&plain[..12], tags, &plain[12..]].concat();
    let sent: Vec<Vec<u8>> = (0..)
        .zip([
            plain.clone(),
            tagged(&[0x81, 0, 0x20, 7]),
            tagged(&[0x88, 0xa8, 0, 9]),
            tagged(&[0x88, 0xa8, 0, 9, 0x81, 0, 0x6f, 0xff]),
        ])
        .map(|(number, frame)| numbered(number, &frame))
        .collect();
    let (frames, end) = captured(&bed, point, sent.len(), async |release| {
        send(&bed.netns("a"), &sent);
        release.send(()).unwrap();
    })
    .await;
    assert_eq!(end, CaptureEnd::default());
    for (frame, sent) in frames.iter().zip(&sent) {
        assert_eq!(frame.bytes, *sent);
        assert_eq!(frame.length as usize, sent.len());
        assert_eq!(frame.direction, Direction::Sent);
    }
}

/// Each frame is handed out or counted as dropped, and the frames say how many were before them.
#[tokio::test]
async fn what_is_not_taken_in_time_is_counted() {
    const SENT: usize = 60_000;
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let point = alone(&mut bed).await;
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('data', 0))\n\
         frame = bytes.fromhex('020000000002020000000001' + '88b5' + '07' * 46)\n\
         for number in range({SENT}):\n    s.send(frame)"
    );
    let owner = bed.instance(0).owner;
    let (frames, end) = captured(&bed, point, usize::MAX, async |release| {
        let netns = bed.netns("a");
        let flood = move || exec_ok(&netns, &["python3", "-c", &script]);
        tokio::task::spawn_blocking(flood).await.unwrap();
        release.send(()).unwrap();
        bed.network().detach(&owner, &dc("dc1"), PortId::new(1)).await.unwrap();
    })
    .await;
    assert_eq!(frames.len() + usize::try_from(end.dropped).unwrap(), SENT);
    assert!(end.gone, "the port was detached");
    assert!(end.dropped > 0, "{} frames wait", frames.len());
    assert!(frames.is_sorted_by_key(|frame| frame.dropped));
    assert!(frames.iter().all(|frame| frame.dropped <= end.dropped));
}

/// What a chain takes and cannot deliver is lost, and counted as dropped of what the container sent.
#[tokio::test]
async fn what_chains_throw_away_is_counted() {
    let Some(mut bed) = Bed::new(&single()).await else { return };
    let instance = bed.instance(0);
    alone(&mut bed).await;
    let end = |port| ChainEnd { port: PortId::new(port), datacenter: dc("dc1") };
    let spec = ChainSpec {
        owner: instance.owner.clone(),
        id: segment_id(9),
        group: instance.group,
        source: end(1),
        destination: end(2),
        bidirectional: false,
        matches: "dl_type=0x88b5".parse().unwrap(),
        priority: 1000,
    };
    bed.network().chains().unwrap().ensure_chain(&spec).await.unwrap();
    let frame = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1][..], &[0x88, 0xb5], &[7; 46]].concat();
    send(&bed.netns("a"), &vec![frame; 7]);
    let counts = bed.network().counters().unwrap().ports(&instance.owner).await.unwrap();
    let [port] = counts[..] else { panic!("{counts:?}") };
    assert_eq!((port.sent.packets, port.sent.dropped, port.received.dropped), (7, 7, 0));
}
