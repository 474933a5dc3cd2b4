//! Devices that go, or are made anew, while their filters are exchanged.

use super::*;
use crate::tests::{self, add_pair, delete};

/// Runs work with the devices `p1` and `p2` in a network namespace of its own.
fn apart(work: impl FnOnce(&mut Socket) + Send) {
    tests::apart(|socket| {
        add_pair(socket, "p1", "f1");
        add_pair(socket, "p2", "f2");
        work(socket);
    });
}

/// From `p1` to `p2`.
fn wire() -> Wire {
    let rule = Rule { matches: Match::All, target: "p2".to_owned(), copy: false, or_lose: false };
    let datacenter = DcName::parse("dc1").unwrap();
    Wire { datacenter, device: "p1".to_owned(), hook: Hook::Ingress, chains: Vec::new(), rules: vec![rule] }
}

/// Looks devices up; once `last` was, something happens.
fn finding(
    last: &str,
    happens: impl FnOnce(&mut Socket),
) -> impl FnMut(&mut Socket, &str) -> Result<Option<LinkInfo>, NetlinkError> {
    let mut happens = Some(happens);
    move |socket, name| {
        let found = link::find(socket, name)?;
        if name == last
            && let Some(happens) = happens.take()
        {
            happens(socket);
        }
        Ok(found)
    }
}

#[test]
fn a_device_that_has_gone_since_it_was_found_needs_no_filters() {
    apart(|socket| {
        let gone = finding("p2", |socket| delete(socket, "p1"));
        assert_eq!(exchange(socket, &wire(), None, gone).unwrap(), None);
    });
}

#[test]
fn a_target_that_has_gone_since_it_was_found_is_left_out() {
    apart(|socket| {
        let near = link::find(socket, "p1").unwrap().unwrap().device();
        let gone = finding("p2", |socket| delete(socket, "p2"));
        let patched = exchange(socket, &wire(), None, gone).unwrap().unwrap();
        assert_eq!((patched.device, patched.rules.filters), (near, Vec::new()));
        assert_eq!(tc::priorities(socket, near, Hook::Ingress).unwrap(), Vec::<u16>::new());
        // The one that comes in its place is patched, in one step.
        add_pair(socket, "p2", "f2");
        let patched = exchange(socket, &wire(), None, link::find).unwrap().unwrap();
        assert_eq!(patched.rules.filters.len(), 1);
    });
}

#[test]
fn another_device_of_the_name_gets_the_filters() {
    apart(|socket| {
        let before = exchange(socket, &wire(), None, link::find).unwrap();
        let again = finding("p2", |socket| {
            delete(socket, "p1");
            add_pair(socket, "p1", "f1");
        });
        // Two rules, so that there is something to do.
        let mut wire = wire();
        wire.rules.push(wire.rules[0].clone());
        let patched = exchange(socket, &wire, before.clone(), again).unwrap().unwrap();
        assert_ne!(patched.device, before.unwrap().device);
        assert_eq!(patched.device, link::find(socket, "p1").unwrap().unwrap().device());
        assert_eq!(patched.rules.filters.len(), 2);
        assert_eq!(tc::priorities(socket, patched.device, Hook::Ingress).unwrap(), [*OF_RULES.start()]);
    });
}

#[test]
fn what_is_refused_though_all_is_there_is_an_error() {
    apart(|socket| {
        // A number that no device has.
        let wrong = |socket: &mut Socket, name: &str| {
            let found = link::find(socket, name)?;
            Ok(found.map(|info| LinkInfo { index: if name == "p2" { 4711 } else { info.index }, ..info }))
        };
        let error = exchange(socket, &wire(), None, wrong).unwrap_err();
        assert!(error.is_absent(), "{error}");
    });
}
