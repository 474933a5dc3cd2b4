//! Cases on seeing what flows.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use llcm_names::PortId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::bed::{Bed, E_LINE, Vnf, eventually, refused, segment};
use super::report::{Checked, Stop, ensure, ensure_eq};
use super::seconds;
use crate::{
    Capture, CaptureEnd, CapturePoint, CaptureSpec, Counters, Direction, ErrorKind, Frame, FrameSink,
    PortCounts,
};

/// Longer than any capture of a case has to take.
const LONG: Duration = Duration::from_secs(20);

fn counters<'b>(bed: &'b Bed<'_>) -> Result<&'b dyn Counters, Stop> {
    bed.network()?.counters().ok_or_else(|| Stop::NotSeen("the network driver counts nothing".to_owned()))
}

fn capture<'b>(bed: &'b Bed<'_>) -> Result<&'b dyn Capture, Stop> {
    bed.network()?.capture().ok_or_else(|| Stop::NotSeen("the network driver shows no frames".to_owned()))
}

/// Two VNFs in two data centers with ports 1 and 2, joined by an E-Line, that have spoken with one another.
async fn pair(bed: &Bed<'_>) -> Result<(Vnf, Vnf), Stop> {
    let (a, b) = (bed.vnf("a", bed.near()).await?, bed.vnf("b", bed.far()).await?);
    let line = segment(&bed.owner, 10, E_LINE, vec![a.end(1), b.end(2)]);
    bed.network()?.ensure_segment(&line).await?;
    bed.plug(&a, &a.port(1, "eth1", "10.9.0.1/24", &[10])).await?;
    bed.plug(&b, &b.port(2, "eth1", "10.9.0.2/24", &[10])).await?;
    eventually("an answer over the line", || bed.ping(&a, "10.9.0.2")).await?;
    Ok((a, b))
}

fn of(counts: &[PortCounts], port: u32) -> Result<PortCounts, Stop> {
    let found = counts.iter().find(|counts| counts.port == PortId::new(port)).copied();
    found.ok_or_else(|| Stop::Failed(format!("the counters of port {port} are missing: {counts:?}")))
}

pub(super) async fn ports_are_counted_as_their_containers_see_them(bed: &mut Bed<'_>) -> Checked {
    counters(bed)?;
    let (a, b) = pair(bed).await?;
    let before = counters(bed)?.ports(&bed.owner).await?;
    ensure!(bed.ping(&a, "10.9.0.2").await?, "an answer over the line");
    let after = counters(bed)?.ports(&bed.owner).await?;
    for (port, what) in [(1, "who asked"), (2, "who answered")] {
        let (then, now) = (of(&before, port)?, of(&after, port)?);
        for (way, then, now) in [("sent", then.sent, now.sent), ("received", then.received, now.received)] {
            ensure!(
                now.packets > then.packets && now.bytes >= then.bytes + 64,
                "{what} has {way} at least a frame: {then:?}, then {now:?}"
            );
        }
    }
    ensure_eq!(counters(bed)?.ports(&bed.other).await?, vec![], "the counters of an instance without ports");
    bed.network()?.detach(&bed.owner, &bed.far(), PortId::new(2)).await?;
    let left: Vec<_> = counters(bed)?.ports(&bed.owner).await?.iter().map(|counts| counts.port).collect();
    ensure_eq!(left, vec![PortId::new(1)], "the ports that are counted when one was detached");
    drop(b);
    Ok(())
}

pub(super) async fn links_are_counted_in_both_directions(bed: &mut Bed<'_>) -> Checked {
    let seen = counters(bed)?.links().await?;
    let seen: Vec<_> = seen.into_iter().map(|link| (link.name, link.from, link.to)).collect();
    let mut expected = Vec::new();
    for link in &bed.host().topology.links {
        for (from, to) in [(&link.a, &link.b), (&link.b, &link.a)] {
            expected.push((link.name.clone(), from.dc.clone(), to.dc.clone()));
        }
    }
    ensure_eq!(seen, expected, "the directions that are counted");
    Ok(())
}

/// Keeps the echo requests and answers. On a busy machine a request may come before the answer to the one before it.
#[derive(Default)]
struct Echoes {
    begun: Option<oneshot::Sender<()>>,
    frames: Vec<Frame>,
    /// Ends as soon as a request is answered.
    until_answered: bool,
}

impl Echoes {
    /// The first request that was answered, and the answer.
    fn exchange(&self) -> Option<[&Frame; 2]> {
        let of_type = |wanted: u8| self.frames.iter().filter(move |frame| icmp(frame, 0..1) == [wanted]);
        let number = |frame: &Frame| icmp(frame, 6..8).to_vec();
        of_type(0).find_map(|answer| {
            let request = of_type(8).find(|request| number(request) == number(answer))?;
            Some([request, answer])
        })
    }
}

/// Part of the ICMP message that an IPv4 packet without options carries (RFC 792: type at 0, sequence number at 6).
fn icmp(frame: &Frame, part: Range<usize>) -> &[u8] {
    frame.bytes.get(34 + part.start..34 + part.end).unwrap_or_default()
}

#[async_trait]
impl FrameSink for Echoes {
    async fn began(&mut self) -> bool {
        self.begun.take().is_none_or(|begun| begun.send(()).is_ok())
    }

    async fn frame(&mut self, frame: Frame) -> bool {
        // IPv4, ICMP.
        if frame.bytes.get(12..14) == Some(&[8, 0]) && frame.bytes.get(23) == Some(&1) {
            self.frames.push(frame);
        }
        !(self.until_answered && self.exchange().is_some())
    }
}

fn spec(bed: &Bed<'_>, port: u32, duration: Duration) -> CaptureSpec {
    let datacenter = if port == 1 { bed.near() } else { bed.far() };
    let point = CapturePoint::Port {
        owner: bed.owner.clone(),
        datacenter: datacenter.clone(),
        port: PortId::new(port),
    };
    CaptureSpec { point, snap_length: 60, duration: Some(duration) }
}

pub(super) async fn a_capture_shows_frames_both_ways(bed: &mut Bed<'_>) -> Checked {
    capture(bed)?;
    let (a, _b) = pair(bed).await?;
    for (port, request, answer) in
        [(1, Direction::Sent, Direction::Received), (2, Direction::Received, Direction::Sent)]
    {
        let (begun, begins) = oneshot::channel();
        let mut sink = Echoes { begun: Some(begun), until_answered: true, ..Echoes::default() };
        let spec = spec(bed, port, LONG);
        let capturing = capture(bed)?.capture(&spec, &mut sink);
        let speaking = async {
            let _ = begins.await;
            bed.ping(&a, "10.9.0.2").await
        };
        let (ended, answered) = tokio::join!(capturing, speaking);
        ensure_eq!(ended?, CaptureEnd::default(), "the end of the capture");
        ensure!(answered?, "an answer over the line");
        let Some([asked, told]) = sink.exchange() else {
            return Err(Stop::Failed(format!("no answered request at port {port}: {:?}", sink.frames)));
        };
        ensure_eq!([asked.direction, told.direction], [request, answer], "echoes at port {port}");
        for frame in &sink.frames {
            ensure!(frame.bytes.len() == 60, "{} bytes of 60 wanted", frame.bytes.len());
            ensure!(frame.length >= 60, "the frame was {} bytes long", frame.length);
        }
        ensure!(asked.at <= told.at, "the answer passed before the request");
    }
    Ok(())
}

pub(super) async fn a_capture_ends_with_its_time(bed: &mut Bed<'_>) -> Checked {
    capture(bed)?;
    let (_a, _b) = pair(bed).await?;
    let mut sink = Echoes::default();
    let time = Duration::from_millis(300);
    let spec = spec(bed, 1, time);
    let began = Instant::now();
    let ended = tokio::time::timeout(LONG, capture(bed)?.capture(&spec, &mut sink)).await;
    let took = began.elapsed();
    ensure!(ended.is_ok(), "a capture of 300 ms goes on");
    if let Ok(end) = ended {
        ensure_eq!(end?, CaptureEnd::default(), "the end of the capture");
    }
    // The clock of the frames' time stamps need not run exactly as the other one does.
    ensure!(took >= time * 9 / 10, "a capture of {time:?} ended after {took:?}");
    Ok(())
}

/// Takes nothing more, after the first frame, until it is told to go on.
struct Slow {
    begun: Option<oneshot::Sender<()>>,
    go_on: Option<oneshot::Receiver<()>>,
    echoes: Echoes,
}

#[async_trait]
impl FrameSink for Slow {
    async fn began(&mut self) -> bool {
        self.begun.take().is_none_or(|begun| begun.send(()).is_ok())
    }

    async fn frame(&mut self, frame: Frame) -> bool {
        if let Some(go_on) = self.go_on.take() {
            // Dropped is told, too.
            let _ = go_on.await;
        }
        self.echoes.frame(frame).await
    }
}

pub(super) async fn what_passed_in_time_is_handed_out_later(bed: &mut Bed<'_>) -> Checked {
    capture(bed)?;
    let (a, _b) = pair(bed).await?;
    let (begun, begins) = oneshot::channel();
    let (go_on, waits) = oneshot::channel();
    let echoes = Echoes::default();
    let mut sink = Slow { begun: Some(begun), go_on: Some(waits), echoes };
    let time = seconds(3);
    let spec = spec(bed, 1, time);
    let began = Instant::now();
    let speaking = async {
        let _ = begins.await;
        let mut in_time = 0;
        for _ in 0..3 {
            let answered = bed.ping(&a, "10.9.0.2").await?;
            in_time += usize::from(answered && began.elapsed() < time);
        }
        tokio::time::sleep_until(began + time + Duration::from_millis(500)).await;
        let late = bed.ping(&a, "10.9.0.2").await?;
        let _ = go_on.send(());
        Ok::<_, Stop>((in_time, late))
    };
    let (ended, spoken) = tokio::join!(capture(bed)?.capture(&spec, &mut sink), speaking);
    let (in_time, late) = spoken?;
    ensure!(in_time > 0 && late, "no answer over the line: {in_time} in time, {late} later");
    ensure_eq!(ended?, CaptureEnd::default(), "the end of the capture");
    let frames = &sink.echoes.frames;
    ensure!(
        frames.len() >= 2 * in_time,
        "{} frames of {in_time} echoes and their answers that passed in time",
        frames.len()
    );
    if let [first, .., last] = frames.as_slice() {
        let between = last.at.saturating_sub(first.at);
        ensure!(
            between < time,
            "a frame that passed {between:?} after the first one, in a capture of {time:?}"
        );
    }
    Ok(())
}

pub(super) async fn a_capture_ends_when_there_is_nothing_to_look_at(bed: &mut Bed<'_>) -> Checked {
    capture(bed)?;
    let (_a, _b) = pair(bed).await?;
    let topology = bed.host().topology.clone();
    let link = topology.links.last().ok_or_else(|| Stop::NotSeen("the host has no link".to_owned()))?;
    let end = CapturePoint::Link { name: link.name.clone(), end: link.a.dc.clone() };
    for (what, point) in [("port", spec(bed, 1, LONG).point), ("link", end)] {
        let (begun, begins) = oneshot::channel();
        let mut sink = Echoes { begun: Some(begun), ..Echoes::default() };
        let spec = CaptureSpec { point, snap_length: 60, duration: None };
        let capturing = tokio::time::timeout(LONG, capture(bed)?.capture(&spec, &mut sink));
        let removing = async {
            let _ = begins.await;
            if what == "port" {
                bed.network()?.detach(&bed.owner, &bed.near(), PortId::new(1)).await?;
            } else {
                let mut without = topology.clone();
                without.links.pop();
                bed.network()?.prepare(&without).await?;
            }
            Ok::<_, Stop>(())
        };
        let (ended, removed) = tokio::join!(capturing, removing);
        removed?;
        match ended {
            Ok(end) => {
                let expected = CaptureEnd { dropped: 0, gone: true };
                ensure_eq!(end?, expected, "the end of the capture at the {what}");
            }
            Err(_) => return Err(Stop::Failed(format!("a capture goes on at a {what} that was removed"))),
        }
    }
    bed.network()?.prepare(&topology).await?;
    Ok(())
}

pub(super) async fn what_is_not_there_cannot_be_captured(bed: &mut Bed<'_>) -> Checked {
    capture(bed)?;
    let (_a, _b) = pair(bed).await?;
    let mut sink = Echoes::default();
    let absent = spec(bed, 7, LONG);
    let result = capture(bed)?.capture(&absent, &mut sink).await;
    refused(result, ErrorKind::NotFound, "capture at a port that is not there")?;
    let mut others = spec(bed, 1, LONG);
    if let CapturePoint::Port { owner, .. } = &mut others.point {
        *owner = bed.other.clone();
    }
    let result = capture(bed)?.capture(&others, &mut sink).await;
    refused(result, ErrorKind::Conflict, "capture at another owner's port")?;
    let link = CapturePoint::Link { name: "no-such-link".to_owned(), end: bed.near() };
    let result = capture(bed)?.capture(&CaptureSpec { point: link, ..absent }, &mut sink).await;
    refused(result, ErrorKind::NotFound, "capture at a link that is not there")?;
    Ok(())
}
