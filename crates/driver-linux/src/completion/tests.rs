//! Ports that go, or are made anew, while a segment is made.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use llcm_netlink::Socket;
use llcm_runtime::DriverError;

use super::*;
use crate::netns::Netns;
use crate::tests::{add_pair, apart, delete, port};

/// A data center whose ports are in the namespace of this thread.
fn datacenter() -> Datacenter {
    let open = || Netns::open(Path::new("/proc/thread-self/ns/net"), "dc1").unwrap();
    Datacenter {
        name: port(1, "data").datacenter,
        overlay: open(),
        underlay: open(),
        address: Ipv4Addr::new(100, 64, 0, 1),
        cuts: AtomicBool::new(false),
    }
}

/// Joins a port that is there when it is looked up; before each attempt to join it, something happens. Gives the port, and
/// how often it was tried.
fn joined(socket: &mut Socket, mut meanwhile: impl FnMut(&mut Socket, usize)) -> (PortSpec, usize) {
    add_pair(socket, "p1", "far");
    let (spec, dc) = (port(1, "data"), datacenter());
    let mut attempts = 0;
    join_present(&spec, &dc, |near| {
        attempts += 1;
        meanwhile(socket, attempts);
        join(&spec, &dc, near, std::iter::empty())
    })
    .unwrap();
    (spec, attempts)
}

#[test]
fn a_port_that_has_gone_since_it_was_found_is_not_joined() {
    apart(|socket| {
        let (_, attempts) = joined(socket, |socket, _| delete(socket, "p1"));
        assert_eq!(attempts, 1);
    });
}

#[test]
fn a_port_that_was_made_anew_since_is_joined() {
    apart(|socket| {
        let (spec, attempts) = joined(socket, |socket, attempt| {
            if attempt == 1 {
                delete(socket, "p1");
                add_pair(socket, "p1", "far");
            }
        });
        assert_eq!(attempts, 2);
        let found = link::find(socket, "p1").unwrap().unwrap();
        assert!(found.up && found.alias.starts_with(&spec.owner.mark()), "{found:?}");
    });
}

#[test]
fn what_else_is_missing_is_an_error() {
    apart(|socket| {
        add_pair(socket, "p1", "far");
        let missing =
            |_| Err(DriverError::new(ErrorKind::NotFound, "join segment", "1", "its bridge is not there"));
        let error = join_present(&port(1, "data"), &datacenter(), missing).unwrap_err();
        assert!(error.message.contains("bridge"), "{error}");
    });
}
