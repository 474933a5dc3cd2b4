//! The kernel's own tool reads what was written. Needs root and `nft`; without root it says so and passes unless
//! `LLCM_REQUIRE_SYSTEM_TESTS` is 1.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::net::Ipv4Addr;
use std::process::Command;

use llcm_netlink::nf_tables::{
    Base, Batch, DESTINATION_NAT, Direction, ESTABLISHED, Expression, Hook, RELATED, Verdict, chains,
};
use llcm_netlink::{Socket, netns};

fn listed() -> String {
    let output = Command::new("nft").args(["list", "ruleset"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn sample() -> Batch {
    let mut batch = Batch::default();
    batch.add_table("t");
    batch.flush_rules("t");
    let base = |kind, hook, priority| Some(Base { kind, hook, priority });
    batch.add_chain("t", "in", base("filter", Hook::Input, 0));
    batch.add_chain("t", "pre", base("nat", Hook::Prerouting, -100));
    batch.add_chain("t", "post", base("nat", Hook::Postrouting, 100));
    batch.add_chain("t", "ports", None);
    let device = Expression::Device(Direction::In, "lp01");
    let verdict = Expression::Verdict;
    let known = Expression::State(ESTABLISHED | RELATED);
    batch.add_rule("t", "in", &[device, known, verdict(Verdict::Accept)]);
    batch.add_rule("t", "in", &[device, Expression::Destination(&[127]), verdict(Verdict::Drop)]);
    batch.add_rule("t", "in", &[Expression::Status(DESTINATION_NAT), verdict(Verdict::Accept)]);
    batch.add_rule("t", "pre", &[Expression::DestinationIsLocal, verdict(Verdict::Jump("ports"))]);
    let port = [Expression::Protocol(17), Expression::DestinationPort(53)];
    let to = Expression::TranslateDestination(Ipv4Addr::new(169, 254, 64, 3), 5353);
    batch.add_rule("t", "ports", &[Expression::Destination(&[192, 0, 2, 1]), port[0], port[1], to]);
    let out = Expression::Device(Direction::Out, "lp01");
    batch.add_rule("t", "post", &[out, Expression::Source(&[127]), Expression::Masquerade]);
    batch
}

const LISTED: &str = r#"table ip t {
	chain in {
		type filter hook input priority filter; policy accept;
		iifname "lp01*" ct state established,related accept
		iifname "lp01*" ip daddr 127.0.0.0/8 drop
		ct status dnat accept
	}

	chain pre {
		type nat hook prerouting priority dstnat; policy accept;
		fib daddr type local jump ports
	}

	chain post {
		type nat hook postrouting priority srcnat; policy accept;
		oifname "lp01*" ip saddr 127.0.0.0/8 masquerade
	}

	chain ports {
		ip daddr 192.0.2.1 udp dport 53 dnat to 169.254.64.3:5353
	}
}
"#;

#[test]
fn batches_are_carried_out_whole_or_not_at_all() {
    if !rustix::process::geteuid().is_root() {
        assert!(!std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1"), "needs root");
        println!("needs root: skipped");
        return;
    }
    netns::throw_away(|| {
        let mut socket = Socket::open_netfilter().unwrap();
        sample().commit(&mut socket).unwrap();
        assert_eq!(listed(), LISTED);
        // Again: the rules are not doubled.
        sample().commit(&mut socket).unwrap();
        assert_eq!(listed(), LISTED);
        // The last change cannot be made, so none is.
        let mut batch = Batch::default();
        batch.flush_rules("t");
        batch.add_table("u");
        batch.delete_table("missing");
        let error = batch.commit(&mut socket).unwrap_err();
        assert!(error.is_absent(), "{error}");
        assert_eq!(listed(), LISTED);
        // The socket is as good as before.
        let found = chains(&mut socket).unwrap();
        assert_eq!(found.len(), 4);
        assert!(found.contains(&("t".to_owned(), "ports".to_owned())), "{found:?}");
        // More than the usual limit of a message.
        let mut many = Batch::default();
        for port in 0..3000 {
            let rule = [Expression::Protocol(6), Expression::DestinationPort(port)];
            many.add_rule("t", "ports", &rule);
        }
        many.commit(&mut socket).unwrap();
        assert_eq!(listed().matches("tcp dport").count(), 3000);
        let mut batch = Batch::default();
        batch.delete_table("t");
        batch.commit(&mut socket).unwrap();
        assert_eq!(listed(), "");
    })
    .unwrap();
}
