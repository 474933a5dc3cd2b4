//! Two containers on an E-Line, and what goes between them.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use llcm_runtime::NetworkDriver;
use llcm_topology::LinkProperties;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::bed::{Bed, E_LINE, Plug};

pub(crate) const PLAIN: LinkProperties = LinkProperties {
    bandwidth_bps: None,
    delay_us: 0,
    jitter_us: 0,
    loss_ppm: 0,
    mtu: None,
    queue_packets: None,
};

/// Two containers in dc1 and dc2 on an E-Line, the second listening.
pub(crate) async fn pair(bed: &mut Bed, number: u32, mtu: u32) {
    let instance = bed.instance(0);
    let ports = [number * 10, number * 10 + 1];
    bed.ensure(&instance, number, E_LINE, &[(ports[0], "dc1"), (ports[1], "dc2")]).await;
    for (port, dc, address) in [(ports[0], "dc1", "10.0.0.1/30"), (ports[1], "dc2", "10.0.0.2/30")] {
        let name = format!("c{port}");
        bed.container(&name);
        let segments = [number];
        let plug = Plug { port, dc, container: &name, ifname: "data", address, segments: &segments };
        let spec = llcm_runtime::PortSpec { mtu, ..bed.port(&instance, &plug) };
        bed.network().attach(&spec, &bed.point(&name)).await.unwrap();
    }
}

/// Runs work on a thread of its own in a namespace.
pub(crate) fn within<T: Send>(netns: &str, work: impl FnOnce() -> T + Send) -> T {
    let file = std::fs::File::open(format!("/run/netns/{netns}")).unwrap();
    let enter = move || {
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        work()
    };
    std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
}

/// Repeats a call that a signal cut off, which happens to sockets with timeouts.
fn uninterrupted<T>(mut call: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match call() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other.unwrap(),
        }
    }
}

/// What nothing takes that still works, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection from one namespace to 10.0.0.2 in another.
fn connection([from, to]: [&str; 2]) -> [TcpStream; 2] {
    let listener = within(to, || TcpListener::bind("0.0.0.0:5001").unwrap());
    let address = "10.0.0.2:5001".parse().unwrap();
    let stream = within(from, || uninterrupted(|| TcpStream::connect_timeout(&address, PATIENCE)));
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let (accepted, _) = uninterrupted(|| listener.accept());
    accepted.set_read_timeout(Some(PATIENCE)).unwrap();
    [stream, accepted]
}

/// Sends as fast as it goes from the first of each pair to the second, to all in the same time; returns megabits per second
/// that arrived in that time.
pub(crate) fn blast_together(pairs: &[[&str; 2]], time: Duration) -> Vec<f64> {
    let connections: Vec<_> = pairs.iter().map(|pair| connection(*pair)).collect();
    let (ready, began) = (Barrier::new(2 * pairs.len()), OnceLock::new());
    let begin = || {
        ready.wait();
        *began.get_or_init(Instant::now)
    };
    std::thread::scope(|scope| {
        let spawn = |[mut stream, mut accepted]: [TcpStream; 2]| {
            scope.spawn(move || {
                let chunk = vec![7; 64 * 1024];
                let end = begin() + time;
                while Instant::now() < end {
                    stream.write_all(&chunk).unwrap();
                }
            });
            scope.spawn(move || {
                let (end, mut bytes, mut buffer) = (begin() + time, 0.0, vec![0; 256 * 1024]);
                while let length @ 1.. = uninterrupted(|| accepted.read(&mut buffer)) {
                    if Instant::now() <= end {
                        bytes += f64::from(u32::try_from(length).unwrap());
                    }
                }
                bytes * 8.0 / 1e6 / time.as_secs_f64()
            })
        };
        let receiving: Vec<_> = connections.into_iter().map(spawn).collect();
        receiving.into_iter().map(|one| one.join().unwrap()).collect()
    })
}
