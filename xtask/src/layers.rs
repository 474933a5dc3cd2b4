//! Who may use whom: the table of layers, and the third-party packages that belong to one crate.

use crate::metadata::Member;

/// The layers from the ground up. A crate may depend on crates of lower layers only; crates of one layer do
/// not see one another.
pub const LAYERS: &[&[&str]] = &[
    &["llcm-names", "llcm-netlink", "llcm-pidfd", "llcm-tap"],
    &["llcm-descriptors", "llcm-packaging", "llcm-topology", "llcm-engine", "llcm-access", "llcm-delayline"],
    &["llcm-placement", "llcm-netplan", "llcm-graph"],
    &["llcm-runtime"],
    &["llcm-lifecycle", "llcm-driver-docker", "llcm-driver-engine", "llcm-driver-linux"],
    &["llcm-api"],
    &["llcm"],
];

/// Members for development only: they may use everything, and the layers use them in tests only.
pub const DEVELOPMENT: &[&str] = &["llcm-testkit", "llcm-tests", "llcm-benches", "xtask"];

/// Third-party packages that stand for a decision: who may depend on them, and why nobody else.
pub const OWNED: &[(&str, &[&str], &str)] = &[
    ("actix-web", &["llcm-api", "llcm"], "HTTP ends in the api crate; the binary binds the server"),
    ("actix-multipart", &["llcm-api"], "HTTP ends in the api crate"),
    ("actix-tls", &["llcm-api"], "HTTP ends in the api crate"),
    ("anyhow", &["llcm", "llcm-tests", "llcm-benches", "xtask"], "libraries have errors of their own"),
    ("bollard", &["llcm-driver-docker"], "one crate knows Docker"),
    ("clap", &["llcm"], "below the binary nothing reads arguments"),
    ("env_logger", &["llcm"], "below the binary nothing installs a logger"),
    ("hyper-rustls", &["llcm-driver-engine"], "only registries are reached by TLS (docs/adr/014)"),
    ("nix", &["llcm-driver-linux"], "packet sockets are opened in one place (docs/adr/020)"),
    ("netlink-packet-route", &[], "messages are written by llcm-netlink (docs/adr/007)"),
    ("netlink-sys", &["llcm-netlink"], "one crate talks netlink"),
    ("oci-client", &[], "its answers have no bounds (docs/adr/014)"),
    ("quick-xml", &["llcm-topology"], "only topologies are XML (docs/adr/019)"),
    ("redb", &["llcm-lifecycle"], "the store is the lifecycle's"),
    ("roxmltree", &[], "its time grows with the square of attributes (docs/adr/019)"),
    ("rtnetlink", &[], "messages are written by llcm-netlink (docs/adr/007)"),
    (
        "rustls",
        &["llcm-driver-engine", "llcm-api", "llcm"],
        "TLS is for registries, listeners and clients (docs/adr/014, 017)",
    ),
    ("serde_yaml", &["llcm"], "it writes YAML only; serde-saphyr reads (docs/adr/002)"),
    ("zip", &["llcm-packaging", "llcm-testkit", "llcm"], "archives are read in one place"),
    (
        "tokio",
        &[
            "llcm-runtime",
            "llcm-lifecycle",
            "llcm-driver-docker",
            "llcm-driver-engine",
            "llcm-driver-linux",
            "llcm-api",
            "llcm",
        ],
        "layers 0 to 2 are pure and know no runtime",
    ),
];

/// What breaks the table.
#[must_use]
pub fn check(members: &[Member]) -> Vec<String> {
    let mut findings = Vec::new();
    let names: Vec<_> = members.iter().map(|member| member.name.as_str()).collect();
    for name in LAYERS.iter().copied().flatten().chain(DEVELOPMENT) {
        if !names.contains(name) {
            findings.push(format!("layers: {name} is in the table and not in the workspace"));
        }
    }
    for member in members {
        let Some(layer) = layer_of(&member.name) else {
            if !DEVELOPMENT.contains(&member.name.as_str()) {
                findings.push(format!("layers: {} is in no layer of xtask/src/layers.rs", member.name));
            }
            continue;
        };
        for dependency in &member.dependencies {
            if DEVELOPMENT.contains(&dependency.as_str()) {
                findings.push(format!("layers: {} uses {dependency} outside of tests", member.name));
            }
        }
        for dependency in member.dependencies.iter().chain(&member.dev_dependencies) {
            if layer_of(dependency).is_some_and(|below| below >= layer) && *dependency != member.name {
                findings
                    .push(format!("layers: {} must not use {dependency}: it is no layer below", member.name));
            }
        }
        for (package, owners, why) in OWNED {
            if member.dependencies.iter().any(|it| it == package) && !owners.contains(&member.name.as_str()) {
                findings.push(format!("layers: {} must not use {package}: {why}", member.name));
            }
        }
    }
    findings
}

fn layer_of(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, dependencies: &[&str], dev: &[&str]) -> Member {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Member {
            name: name.to_owned(),
            manifest: std::path::PathBuf::new(),
            dependencies: owned(dependencies),
            dev_dependencies: owned(dev),
        }
    }

    fn everything_with(changed: Member) -> Vec<String> {
        let mut members: Vec<_> = LAYERS
            .iter()
            .copied()
            .flatten()
            .chain(DEVELOPMENT)
            .map(|name| member(name, &[], &[]))
            .filter(|member| member.name != changed.name)
            .collect();
        members.push(changed);
        check(&members)
    }

    #[test]
    fn the_table_is_kept() {
        for (changed, expected) in [
            (member("llcm-runtime", &["llcm-names", "tokio"], &["llcm-testkit"]), None),
            (member("llcm-runtime", &["llcm-lifecycle"], &[]), Some("must not use llcm-lifecycle")),
            (member("llcm-placement", &["llcm-netplan"], &[]), Some("must not use llcm-netplan")),
            (member("llcm-placement", &[], &["llcm-runtime"]), Some("must not use llcm-runtime")),
            (member("llcm-runtime", &["llcm-testkit"], &[]), Some("outside of tests")),
            (member("llcm-netplan", &["tokio"], &[]), Some("must not use tokio")),
            (member("llcm-lifecycle", &["bollard"], &[]), Some("must not use bollard")),
            (member("llcm-new", &[], &[]), Some("is in no layer")),
        ] {
            let findings = everything_with(changed.clone());
            match expected {
                None => assert!(findings.is_empty(), "{changed:?}: {findings:?}"),
                Some(expected) => {
                    assert!(
                        findings.len() == 1 && findings[0].contains(expected),
                        "{changed:?}: {findings:?}"
                    );
                }
            }
        }
        assert!(check(&[]).iter().any(|finding| finding.contains("llcm-api is in the table")));
    }
}
