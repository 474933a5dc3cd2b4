//! Passing on packets of other machines: whether somebody's rules let them through.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use llcm_netlink::link_kind::{Peer, add_veth};
use llcm_netlink::{Device, Socket, address, link, netns, route};
use rustix::time::Timespec;

use super::pair::{free, pair};

/// The kernel sets interfaces up under its network lock, which others hold for tens of milliseconds.
const READY: Duration = Duration::from_secs(5);

/// How long a packet of the trial may take, and how often it is sent.
const PATIENCE: Duration = Duration::from_millis(60);
const ATTEMPTS: usize = 5;

/// Its port: "discard", where nothing answers.
const PORT: u16 = 9;

/// `RT_TABLE_MAIN`.
const MAIN: u8 = 254;

/// Whether a packet between two strangers is passed on: one is sent from a namespace through this one to another.
/// Rules of others (Docker's drop what Docker does not know) cannot be overruled by rules of ours, only seen.
/// `engine` is a part of names that no other engine uses.
pub(super) fn is_allowed(engine: &str) -> io::Result<bool> {
    let names = [format!("lt{engine}near"), format!("lt{engine}far")];
    let mut host = Socket::open()?;
    let work = |host: &mut Socket| -> io::Result<bool> {
        let (near, from) = end(host, &names[0])?;
        let (far, to) = end(host, &names[1])?;
        for name in &names {
            until_it_sends(host, name)?;
        }
        for namespace in [&near, &far] {
            netns::visit(namespace.as_fd(), || until_it_sends(&mut Socket::open()?, "t0"))??;
        }
        let receiver = netns::visit(far.as_fd(), || UdpSocket::bind((to, PORT)))??;
        let sender = netns::visit(near.as_fd(), || UdpSocket::bind((from, PORT)))??;
        receiver.set_read_timeout(Some(PATIENCE))?;
        for _ in 0..ATTEMPTS {
            // Whoever switches forwarding off for the host, since nobody needs it yet, does so for all interfaces.
            for name in &names {
                fs::write(format!("/proc/sys/net/ipv4/conf/{name}/forwarding"), "1")?;
            }
            // Rules may refuse it by an answer instead of silence, which the next sending then tells.
            let sent = sender.send_to(b"llcm", (to, PORT));
            let arrived = receiver.recv_from(&mut [0; 8]);
            if sent.is_ok() && arrived.is_ok_and(|(_, sender)| sender.ip() == from) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let result = work(&mut host);
    for name in &names {
        if let Some(found) = link::find(&mut host, name)? {
            link::delete(&mut host, found.device())?;
        }
    }
    result
}

/// A namespace, which lives as long as the file, behind a pair of interfaces. Gives its address, too.
fn end(host: &mut Socket, name: &str) -> io::Result<(File, Ipv4Addr)> {
    let namespace = netns::throw_away(|| File::open("/proc/thread-self/ns/net"))??;
    if let Some(left) = link::find(host, name)? {
        link::delete(host, left.device())?;
    }
    let peer = Peer { name: "t0", netns: Some(namespace.as_fd()), mac: None };
    add_veth(host, name, 0, 1500, &peer)?;
    let (above, below) = free(host, 0)?;
    raise(host, name, above)?;
    netns::visit(namespace.as_fd(), || -> io::Result<()> {
        let mut inside = Socket::open()?;
        let device = raise(&mut inside, "t0", below)?;
        Ok(route::set_default(&mut inside, above, device, MAIN)?)
    })??;
    Ok((namespace, below))
}

/// Before an interface runs, what it is given to send is lost without a word.
fn until_it_sends(socket: &mut Socket, name: &str) -> io::Result<()> {
    let began = Instant::now();
    while !link::find(socket, name)?.is_some_and(|found| found.running) {
        if began.elapsed() > READY {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "a new interface does not come up"));
        }
        // A signal makes it shorter, which does no harm.
        let _ = rustix::event::poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
    }
    Ok(())
}

fn raise(socket: &mut Socket, name: &str, own: Ipv4Addr) -> io::Result<Device> {
    let found = link::find(socket, name)?.ok_or(io::ErrorKind::NotFound)?;
    link::change(socket, found.device(), &link::Change { up: Some(true), ..link::Change::default() })?;
    address::add(socket, found.device(), pair(own)?)?;
    Ok(found.device())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_host_that_switches_it_off_meanwhile_forwards_all_the_same() {
        if !rustix::process::geteuid().is_root() {
            assert!(!std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1"), "needs root");
            println!("a_host_that_switches_it_off_meanwhile_forwards_all_the_same needs root: skipped");
            return;
        }
        let over = AtomicBool::new(false);
        let allowed = netns::throw_away(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    // For the first of the attempts; a busy machine might lose the others, too.
                    let mut last = None;
                    while !over.load(Ordering::Relaxed) && last.is_none_or(|last| Instant::now() < last) {
                        if last.is_none() && fs::exists("/proc/sys/net/ipv4/conf/lttestfar").unwrap() {
                            last = Some(Instant::now() + PATIENCE);
                        }
                        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
                        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
                        std::thread::sleep(Duration::from_millis(2));
                    }
                });
                let allowed = is_allowed("test");
                over.store(true, Ordering::Relaxed);
                allowed
            })
        });
        assert!(allowed.unwrap().unwrap());
    }
}
