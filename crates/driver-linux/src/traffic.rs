//! Seeing what flows: counters and captures, by the data center's side of ports and by the devices of links.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use llcm_names::{DcName, Owner};
use llcm_netlink::{LinkInfo, link, netns, stats};
use llcm_runtime::{
    Capture, CaptureEnd, CapturePoint, CaptureSpec, Counters, Counts, Direction, DriverError, DriverResult,
    ErrorKind, Frame, FrameSink, LinkCounts, PortCounts,
};
use tokio::sync::mpsc;

use crate::datacenter::Datacenter;
use crate::driver::{LinuxNetwork, SHORT};
use crate::error::Context;
use crate::installation::Installation;
use crate::names::{Role, parse_link_mark, parse_mark, port_device};
use crate::netns::Netns;
use crate::packet::PacketSocket;

/// Frames that may wait for whoever takes them; more wait in the kernel.
const WAITING: usize = 256;
/// How often it is looked whether the device is still there.
const LOOK: Duration = Duration::from_secs(1);
/// How long after its time a capture goes on for whoever takes what passed in time. Then the rest counts as dropped.
const LATE: Duration = Duration::from_secs(30);

/// What an end of a link has sent, and which data center that is.
type Sent = Option<(DcName, Counts)>;

impl Installation {
    /// The counters of an instance's ports: two listings per data center where it has some. What the data center's side
    /// of a port receives, the container sent; what filters throw away of that, chains did.
    fn port_counts(&self, owner: &Owner) -> DriverResult<Vec<PortCounts>> {
        let mut found = Vec::new();
        for (name, dc) in &self.all_datacenters()? {
            let port_of = |info: &LinkInfo| match parse_mark(&info.alias) {
                Some((whose, Role::Port(port, _))) if whose == *owner => Some(port),
                _ => None,
            };
            let devices = dc.overlay.call("read counters of", name.as_str(), stats::list)?;
            if devices.iter().all(|(info, _)| port_of(info).is_none()) {
                continue;
            }
            let drops = dc.overlay.call("read counters of", name.as_str(), stats::drops)?;
            for (info, seen) in devices {
                let Some(port) = port_of(&info) else { continue };
                let filtered = drops.get(&info.index).map_or(0, |drops| drops.filters);
                let dropped = seen.rx_dropped + filtered;
                let sent = Counts { packets: seen.rx_packets, bytes: seen.rx_bytes, dropped };
                let received =
                    Counts { packets: seen.tx_packets, bytes: seen.tx_bytes, dropped: seen.tx_dropped };
                found.push(PortCounts { port, sent, received });
            }
        }
        found.sort_by_key(|counts| counts.port);
        Ok(found)
    }

    /// The counters of all links, by what each end sends: two listings per data center.
    fn link_counts(&self) -> DriverResult<Vec<LinkCounts>> {
        // By device, which has the same name at both ends: the link, and what each end sent.
        let mut found: BTreeMap<String, (String, [Sent; 2])> = BTreeMap::new();
        let lost = self.lines.lost()?;
        for (name, dc) in &self.all_datacenters()? {
            let read = |socket: &mut llcm_netlink::Socket| Ok((stats::list(socket)?, stats::drops(socket)?));
            let (devices, drops) = dc.underlay.call("read counters of", name.as_str(), read)?;
            for (info, seen) in devices {
                let Some((end, link)) = parse_link_mark(&self.id, &info.alias) else { continue };
                let behind = lost.get(&info.name).map_or(0, |lost| lost[end]);
                let dropped =
                    seen.tx_dropped + drops.get(&info.index).map_or(0, |drops| drops.queue) + behind;
                let sent = Counts { packets: seen.tx_packets, bytes: seen.tx_bytes, dropped };
                let entry = found.entry(info.name).or_insert((link, [None, None]));
                entry.1[end] = Some((name.clone(), sent));
            }
        }
        let mut counts = Vec::new();
        for (name, sides) in found.into_values() {
            if let [Some((a, from_a)), Some((b, from_b))] = sides {
                counts.push(LinkCounts { name: name.clone(), from: a.clone(), to: b.clone(), sent: from_a });
                counts.push(LinkCounts { name, from: b, to: a, sent: from_b });
            }
        }
        counts.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(counts)
    }

    /// Opens a socket where frames are to be looked at.
    fn watch(&self, spec: &CaptureSpec) -> DriverResult<Watched> {
        let (dc, device, over) = match &spec.point {
            CapturePoint::Port { owner, datacenter, port } => {
                let dc = self.datacenter(datacenter)?;
                let name = port_device(*port);
                let found = dc.overlay.call("find port", &name, |socket| link::find(socket, &name))?;
                let found = found.ok_or_else(|| absent(&name, "there is no such port"))?;
                match parse_mark(&found.alias) {
                    Some((whose, Role::Port(..))) if whose == *owner => (dc, found.index, true),
                    _ => {
                        let message = "it is another instance's";
                        return Err(DriverError::new(ErrorKind::Conflict, "capture at", name, message));
                    }
                }
            }
            CapturePoint::Link { name, end } => {
                let dc = self
                    .find_datacenter(end)?
                    .ok_or_else(|| absent(name, &format!("there is no data center {end}")))?;
                let devices = dc.underlay.call("list devices of", end.as_str(), link::list)?;
                let is_it = |info: &LinkInfo| {
                    parse_link_mark(&self.id, &info.alias).is_some_and(|(_, link)| link == *name)
                };
                let found = devices.into_iter().find(is_it);
                let found = found.ok_or_else(|| absent(name, &format!("the link has no end in {end}")))?;
                (dc, found.index, false)
            }
        };
        let netns = if over { &dc.overlay } else { &dc.underlay };
        let socket = netns::visit(netns.fd(), || PacketSocket::open(device, spec.snap_length))
            .and_then(|opened| opened)
            .during("capture in", netns.name())?;
        Ok(Watched { dc, over, device, socket })
    }
}

fn absent(target: &str, message: &str) -> DriverError {
    DriverError::new(ErrorKind::NotFound, "capture at", target, message)
}

/// A device that is looked at.
struct Watched {
    dc: Arc<Datacenter>,
    /// Whether it is in the namespace of ports.
    over: bool,
    device: u32,
    socket: PacketSocket,
}

impl Watched {
    fn netns(&self) -> &Netns {
        if self.over { &self.dc.overlay } else { &self.dc.underlay }
    }

    /// Reads frames on a thread that may block: all that pass until a time, given as the frames' time stamps are, or
    /// until nobody takes them or the device is gone.
    fn read(mut self, frames: &mpsc::Sender<Frame>, until: Option<Duration>) -> DriverResult<Read> {
        let mut looked = Instant::now();
        let (mut untaken, mut gone) = (0, false);
        loop {
            // Known before the kernel is asked for more: when it has none then, all that passed in time was read.
            let over = until.is_some_and(|until| since_1970() >= until);
            if frames.is_closed() && !over {
                break;
            }
            match self.socket.next().during("capture in", self.netns().name())? {
                Some(frame) if until.is_some_and(|until| frame.at > until) => break,
                Some(mut frame) => {
                    if self.over {
                        // What the data center's side sends, the container receives.
                        frame.direction = match frame.direction {
                            Direction::Sent => Direction::Received,
                            Direction::Received => Direction::Sent,
                        };
                    }
                    if frames.blocking_send(frame).is_err() {
                        untaken += 1;
                    }
                }
                None if over => break,
                None if looked.elapsed() >= LOOK => {
                    looked = Instant::now();
                    let name = self.netns().name();
                    let devices = self.netns().call("list devices of", name, link::list)?;
                    if devices.iter().all(|info| info.index != self.device) {
                        gone = true;
                        break;
                    }
                }
                None => {}
            }
        }
        let name = self.netns().name().to_owned();
        let dropped = self.socket.finish().during("end capture in", &name)?;
        Ok(Read { dropped, untaken, gone })
    }
}

/// What became of the frames that were not handed out.
struct Read {
    /// By the kernel, for want of room.
    dropped: u64,
    /// Read when nobody took them any more.
    untaken: u64,
    /// Whether it is over because the device has gone.
    gone: bool,
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[async_trait]
impl Counters for LinuxNetwork {
    async fn ports(&self, owner: &Owner) -> DriverResult<Vec<PortCounts>> {
        let owner = owner.clone();
        let target = owner.instance.to_string();
        self.run("read counters of", target, SHORT, move |it| it.port_counts(&owner)).await?
    }

    async fn links(&self) -> DriverResult<Vec<LinkCounts>> {
        self.run("read counters of", "links".to_owned(), SHORT, Installation::link_counts).await?
    }
}

#[async_trait]
impl Capture for LinuxNetwork {
    async fn capture(&self, spec: &CaptureSpec, sink: &mut dyn FrameSink) -> DriverResult<CaptureEnd> {
        let wanted = spec.clone();
        let target = match &spec.point {
            CapturePoint::Port { port, .. } => port.to_string(),
            CapturePoint::Link { name, .. } => name.clone(),
        };
        let watched = self.run("capture at", target.clone(), SHORT, move |it| it.watch(&wanted)).await??;
        let (sender, mut frames) = mpsc::channel(WAITING);
        // One that is further away than time goes never comes.
        let until = spec.duration.and_then(|limit| since_1970().checked_add(limit));
        let reading = tokio::task::spawn_blocking(move || watched.read(&sender, until));
        let mut untaken = 0;
        // Whether the sink has enough, and what was dropped until then.
        let mut enough = None;
        let taking = async {
            if !sink.began().await {
                enough = Some(0);
                return;
            }
            while let Some(frame) = frames.recv().await {
                let dropped = frame.dropped;
                untaken = 1;
                let more = sink.frame(frame).await;
                untaken = 0;
                if !more {
                    enough = Some(dropped);
                    return;
                }
            }
        };
        // The reading ends by itself when it is time; it is waited for only if somebody does not take what was read, or
        // the clock was set back.
        let late = match spec.duration {
            Some(limit) => tokio::time::timeout(limit.saturating_add(LATE), taking).await.is_err(),
            None => {
                taking.await;
                false
            }
        };
        // Ends the reading, too, which may be waiting for room.
        frames.close();
        while late && frames.recv().await.is_some() {
            untaken += 1;
        }
        drop(frames);
        match reading.await {
            Ok(read) => {
                let read = read?;
                let untaken = if late { untaken + read.untaken } else { 0 };
                let gone = read.gone && enough.is_none();
                Ok(CaptureEnd { dropped: enough.unwrap_or(read.dropped + untaken), gone })
            }
            Err(error) => {
                Err(DriverError::new(ErrorKind::Failed, "capture at", target, format!("worker: {error}")))
            }
        }
    }
}
