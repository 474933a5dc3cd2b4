//! Several installations on one host, and rules that others remove.

use std::time::{Duration, Instant};

use super::*;
use crate::tests;

/// Runs work in a network namespace of its own, in which nothing is passed on.
fn apart(work: impl FnOnce() + Send) {
    tests::apart(|_| {
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        work();
    });
}

const NAT: HostPort = HostPort { nat: true };

/// The first port of an installation, with an interface.
fn port(installation: u32) -> PortSpec {
    let name = format!("sap{installation}");
    tests::add_pair(&mut Socket::open().unwrap(), &name, &format!("far{installation}"));
    PortSpec { host: Some(NAT), ..tests::port(installation, &name) }
}

/// All chains, and the marks of rules in tables of others.
fn listed() -> (Vec<(String, String)>, Vec<String>) {
    let mut socket = Socket::open_netfilter().unwrap();
    let marked = nf_tables::marked_rules(&mut socket).unwrap();
    (nf_tables::chains(&mut socket).unwrap(), marked.into_iter().map(|rule| rule.mark).collect())
}

/// A table like Docker's.
fn docker() {
    let mut batch = Batch::default();
    batch.add_table("filter");
    batch.add_chain("filter", DOCKERS_DOOR, None);
    batch.commit(&mut Socket::open_netfilter().unwrap()).unwrap();
}

#[test]
fn several_installations_side_by_side_forward_as_long_as_one_needs_it() {
    apart(|| {
        docker();
        let ports = [1, 2, 3].map(port);
        let until = Instant::now() + Duration::from_secs(2);
        std::thread::scope(|scope| {
            for spec in &ports {
                scope.spawn(move || {
                    let installation = &spec.owner.installation;
                    while Instant::now() < until {
                        open(installation, spec, NAT).unwrap();
                        assert!(forwarding::is_on().unwrap(), "{installation} needs it");
                        close(installation, spec.id).unwrap();
                        assert!(!listed().0.iter().any(|(of, _)| *of == table(installation, spec.id)));
                    }
                });
            }
        });
        assert!(!forwarding::is_on().unwrap(), "nobody needs it");
        assert_eq!(listed(), (vec![("filter".to_owned(), DOCKERS_DOOR.to_owned())], Vec::new()));
    });
}

#[test]
fn a_table_goes_though_its_rules_in_dockers_chain_go_at_the_same_time() {
    apart(|| {
        docker();
        let spec = port(1);
        let installation = &spec.owner.installation;
        open(installation, &spec, NAT).unwrap();
        let mut asked = 0;
        // Docker writes its chain anew between the listing and the removal.
        let listing = |socket: &mut Socket| {
            let found = nf_tables::marked_rules(socket)?;
            asked += 1;
            if asked == 1 {
                let mut batch = Batch::default();
                batch.flush_rules("filter");
                batch.commit(&mut Socket::open_netfilter()?)?;
            }
            Ok(found)
        };
        remove(&table(installation, spec.id), listing).unwrap();
        assert_eq!(asked, 2);
        assert_eq!(listed(), (vec![("filter".to_owned(), DOCKERS_DOOR.to_owned())], Vec::new()));
        assert!(!forwarding::is_on().unwrap());
    });
}

#[test]
fn rules_in_dockers_chain_go_though_the_table_went_before() {
    apart(|| {
        docker();
        let spec = port(1);
        let installation = &spec.owner.installation;
        for all in [false, true] {
            open(installation, &spec, NAT).unwrap();
            assert_eq!(listed().1.len(), 2);
            let mut batch = Batch::default();
            batch.delete_table(&table(installation, spec.id));
            batch.commit(&mut Socket::open_netfilter().unwrap()).unwrap();
            if all {
                close_all(installation).unwrap()
            } else {
                close(installation, spec.id).unwrap()
            }
            assert_eq!(listed(), (vec![("filter".to_owned(), DOCKERS_DOOR.to_owned())], Vec::new()));
        }
    });
}
