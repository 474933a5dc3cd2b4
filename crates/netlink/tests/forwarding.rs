//! Several owners of tables that need forwarding, side by side. Needs root; without it says so and passes unless
//! `LLCM_REQUIRE_SYSTEM_TESTS` is 1.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use llcm_netlink::forwarding::{self, NEEDED, Switch, WAS_OFF};
use llcm_netlink::nf_tables::{Batch, chains};
use llcm_netlink::{Socket, netns};

/// Runs work in a network namespace of its own, in which nothing is passed on.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn apart(work: impl FnOnce() + Send) {
    if !rustix::process::geteuid().is_root() {
        assert!(!std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1"), "needs root");
        println!("needs root: skipped");
        return;
    }
    netns::throw_away(|| {
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        work();
    })
    .unwrap();
}

type Chains = [(String, String)];

fn has(chains: &Chains, table: &str, wanted: &str) -> bool {
    chains.iter().any(|(owner, chain)| owner == table && chain == wanted)
}

fn begin(table: &str) -> io::Result<()> {
    forwarding::change(|_, chains| {
        let mut batch = Batch::default();
        batch.add_table(table);
        batch.add_chain(table, NEEDED, None);
        let is_off = !forwarding::is_on()?;
        if is_off && !has(chains, table, WAS_OFF) {
            batch.add_chain(table, WAS_OFF, None);
        }
        Ok(Some((batch, if is_off { Switch::On } else { Switch::Stays })))
    })
}

fn end(table: &str) -> io::Result<()> {
    forwarding::change(|_, chains| {
        let mut batch = Batch::default();
        let switch = forwarding::hand_over(&mut batch, table, chains);
        batch.delete_table(table);
        Ok(Some((batch, switch)))
    })
}

fn delete(table: &str) {
    let mut batch = Batch::default();
    batch.delete_table(table);
    batch.commit(&mut Socket::open_netfilter().unwrap()).unwrap();
}

#[test]
fn it_is_on_as_long_as_anybody_needs_it_and_off_afterwards() {
    apart(|| {
        let until = Instant::now() + Duration::from_secs(2);
        std::thread::scope(|scope| {
            for owner in 0..4 {
                scope.spawn(move || {
                    let table = format!("llcm-owner-{owner}");
                    while Instant::now() < until {
                        begin(&table).unwrap();
                        for _ in 0..5 {
                            assert!(forwarding::is_on().unwrap(), "{table} needs it");
                        }
                        end(&table).unwrap();
                    }
                });
            }
        });
        assert!(!forwarding::is_on().unwrap(), "nobody needs it");
        assert_eq!(chains(&mut Socket::open_netfilter().unwrap()).unwrap(), []);
    });
}

#[test]
fn an_heir_that_goes_meanwhile_is_no_heir() {
    apart(|| {
        begin("llcm-first").unwrap();
        begin("llcm-second").unwrap();
        let mut asked = 0;
        forwarding::change(|_, chains| {
            let mut batch = Batch::default();
            let switch = forwarding::hand_over(&mut batch, "llcm-first", chains);
            batch.delete_table("llcm-first");
            asked += 1;
            if asked == 1 {
                assert_eq!(switch, Switch::Stays, "there is an heir");
                // By hand.
                delete("llcm-second");
            }
            Ok(Some((batch, switch)))
        })
        .unwrap();
        assert_eq!(asked, 2);
        assert!(!forwarding::is_on().unwrap());
        assert_eq!(chains(&mut Socket::open_netfilter().unwrap()).unwrap(), []);
    });
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    apart(|| {
        begin("llcm-first").unwrap();
        let mut asked = 0;
        let error = forwarding::change(|_, chains| {
            let mut batch = Batch::default();
            let switch = forwarding::hand_over(&mut batch, "llcm-first", chains);
            assert_eq!(switch, Switch::Off);
            batch.delete_table("llcm-first");
            batch.delete_table("llcm-missing");
            asked += 1;
            Ok(Some((batch, switch)))
        })
        .unwrap_err();
        assert_eq!((error.kind(), asked), (io::ErrorKind::NotFound, 8));
        assert!(forwarding::is_on().unwrap(), "it is needed still");
        assert!(has(&chains(&mut Socket::open_netfilter().unwrap()).unwrap(), "llcm-first", WAS_OFF));
        end("llcm-first").unwrap();
        assert!(!forwarding::is_on().unwrap());
    });
}
