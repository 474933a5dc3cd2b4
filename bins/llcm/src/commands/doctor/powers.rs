//! What the embedded engine can do here, one by one. Pure.

use llcm_engine::{Power, PublishVia};

use super::findings::Embedded;
use super::verdict::{Check, Verdict};

/// A row for each power.
pub(super) fn powers(embedded: &Embedded) -> Vec<Check> {
    let powers = &embedded.powers;
    // These two are root's, by the kernel's rules; what else is missing has reasons of its own.
    let without_root = if powers.root { "" } else { "without root: " };
    let mut rows = vec![
        row(
            "device-nodes",
            &of_root(&powers.device_nodes, without_root),
            "containers have device nodes of their own",
            Verdict::Limited,
            "containers get the machine's own nodes instead, as far as this user may open them",
        ),
        row(
            "other-users",
            &of_root(&powers.other_users, without_root),
            "containers run as any user",
            Verdict::No,
            "images that run as root of the container work",
        ),
    ];
    for (controller, power) in &powers.limits {
        let key = format!("limits.{controller}");
        let instead = "a plan leaves such a limit out and says so";
        rows.push(row(&key, power, "the limit can be set", Verdict::No, instead));
    }
    let instead = if powers.root {
        "`modprobe tun`, if packages ask for the device"
    } else {
        "let root load the module `tun` or give this user the permission, if packages ask for the device"
    };
    rows.push(row("tun", &powers.tun, "/dev/net/tun can be opened", Verdict::No, instead));
    rows.push(publishing(embedded));
    rows
}

fn of_root(power: &Power, without_root: &str) -> Power {
    power.clone().map_err(|reason| format!("{without_root}{reason}"))
}

/// `good` is what is told of a power that is there; `otherwise` and `instead` go with one that is not.
fn row(key: &str, power: &Power, good: &str, otherwise: Verdict, instead: &str) -> Check {
    let key = format!("embedded.{key}");
    match power {
        Ok(()) => Check::new(key, Verdict::Yes, good),
        Err(reason) => Check::new(key, otherwise, reason.clone()).advise(instead),
    }
}

fn publishing(embedded: &Embedded) -> Check {
    let key = "embedded.published-ports";
    let published = &embedded.publishing;
    match published.via {
        _ if !embedded.powers.root => {
            let reason = "without root: by a proxy in the server, ports from 1024 on; they end with it";
            Check::new(key, Verdict::Limited, reason)
        }
        PublishVia::Proxy => {
            let reason = format!("by a proxy in the server, whose ports end with it; {}", published.reason);
            Check::new(key, Verdict::Limited, reason)
                .advise("rules need nf_tables with nat, fib and masquerade")
        }
        PublishVia::Nft | PublishVia::Auto => {
            Check::new(key, Verdict::Yes, format!("by rules of nf_tables: {}", published.reason))
        }
    }
}
