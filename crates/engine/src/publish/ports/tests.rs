//! Several engines on one host.

use std::fs;

use llcm_netlink::netns;

use super::*;
use crate::host_sockets::{OwnNamespace, Protocol};

#[test]
fn engines_side_by_side_forward_as_long_as_one_needs_it() {
    if !rustix::process::geteuid().is_root() {
        assert!(!std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|it| it == "1"), "needs root");
        println!("engines_side_by_side_forward_as_long_as_one_needs_it needs root: skipped");
        return;
    }
    netns::throw_away(|| {
        fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
        let until = Instant::now() + Duration::from_secs(2);
        std::thread::scope(|scope| {
            for engine in 0..3 {
                scope.spawn(move || {
                    let directory = format!("/var/lib/engine-{engine}");
                    let sockets = Arc::new(OwnNamespace);
                    let ports = Ports::new(PublishVia::Nft, sockets, "llcm", Path::new(&directory));
                    let port =
                        Publish { protocol: Protocol::Tcp, host_ip: None, host_port: 80, container_port: 80 };
                    while Instant::now() < until {
                        ports.write(&[(port, Ipv4Addr::new(169, 254, 64, 1))], true, true).unwrap();
                        assert!(forwarding::is_on().unwrap(), "engine {engine} needs it");
                        ports.write(&[], false, false).unwrap();
                    }
                });
            }
        });
        assert!(!forwarding::is_on().unwrap(), "nobody needs it");
        let chains = nf_tables::chains(&mut Socket::open_netfilter().unwrap()).unwrap();
        assert_eq!(chains, []);
    })
    .unwrap();
}
