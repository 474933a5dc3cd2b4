//! What is made of findings.

use std::collections::BTreeMap;

use llcm_engine::{Powers, PublishVia, Publishing, Seen};

use super::findings::{DataDir, Docker, Embedded, Findings, Network, Place};
use super::verdict::{Check, Report, Verdict, report};
use crate::config::raw::Engine;

/// A machine on which everything works, for root.
fn perfect() -> Findings {
    let limits = ["cpu", "cpuset", "memory", "pids"].map(|it| (it.to_owned(), Ok(())));
    let powers = Powers {
        root: true,
        device_nodes: Ok(()),
        other_users: Ok(()),
        limits: BTreeMap::from(limits),
        tun: Ok(()),
    };
    let publishing =
        Publishing { via: PublishVia::Nft, reason: "all is there".to_owned(), problems: Vec::new() };
    Findings {
        user: 0,
        is_root: true,
        engine: Engine::Embedded,
        best_effort: false,
        embedded: Ok(Embedded { powers, publishing }),
        image_sources: Ok(()),
        docker: Ok(Docker {
            name: "docker".to_owned(),
            version: "27.1".to_owned(),
            warnings: Vec::new(),
            containers: 0,
        }),
        simulated: Ok(()),
        network: Ok(Network {
            properties: vec![("bandwidth", Ok("tbf".to_owned())), ("delay", Err("not yet".to_owned()))],
            not_emulated: Vec::new(),
        }),
        data_dir: DataDir {
            path: "/data".into(),
            usable: Ok(()),
            installation: Some("0a0b0c0d".to_owned()),
            has_server: false,
            engine: Ok(Seen { images: 2, ..Seen::default() }),
            datacenters: Vec::new(),
        },
        datacenters: ["dc1", "dc2"].map(|name| place(name, Engine::Embedded)).into(),
        links: 1,
    }
}

fn place(name: &str, engine: Engine) -> Place {
    Place { name: name.to_owned(), engine_name: engine.word().to_owned(), engine: Ok(engine) }
}

/// The same machine for an ordinary user who may have namespaces.
fn ordinary() -> Findings {
    let mut found = perfect();
    (found.user, found.is_root) = (1000, false);
    let embedded = found.embedded.as_mut().unwrap();
    embedded.powers.root = false;
    embedded.powers.device_nodes = Err("refused".to_owned());
    embedded.powers.limits.insert("memory".to_owned(), Err("the cgroup cannot be written".to_owned()));
    embedded.publishing.via = PublishVia::Proxy;
    found
}

#[track_caller]
fn row<'a>(report: &'a Report, key: &str) -> &'a Check {
    report.checks.iter().find(|row| row.key == key).unwrap_or_else(|| panic!("no {key} in {report:#?}"))
}

#[track_caller]
fn verdict(report: &Report, key: &str) -> Verdict {
    row(report, key).verdict
}

#[test]
fn where_everything_works_all_engines_do() {
    let report = report(&perfect());
    let no: Vec<_> = report.checks.iter().filter(|row| row.verdict != Verdict::Yes).collect();
    assert_eq!(no.len(), 1, "{no:#?}");
    assert_eq!(verdict(&report, "network.delay"), Verdict::No);
    assert!(row(&report, "images.store").reason.starts_with("2 in "));
    assert!(report.serve.possible);
    assert_eq!(
        report.serve.summary,
        "`llcm serve` would run containers with engine embedded, as root, and keep its state in /data."
    );
}

#[test]
fn keys_are_not_used_twice() {
    for found in [perfect(), ordinary()] {
        let keys: Vec<_> = report(&found).checks.into_iter().map(|row| row.key).collect();
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }
}

#[test]
fn without_root_the_embedded_engine_is_limited_and_docker_is_not_possible() {
    let found = ordinary();
    let report = report(&found);
    assert!(report.serve.possible, "{report:#?}");
    assert_eq!(
        row(&report, "engine.embedded").reason,
        "containers and links work; limited: device-nodes, limits.memory, published-ports"
    );
    assert_eq!(verdict(&report, "embedded.limits.memory"), Verdict::No);
    assert!(row(&report, "embedded.device-nodes").reason.starts_with("without root: "));
    let docker = row(&report, "engine.docker");
    assert_eq!(docker.verdict, Verdict::No);
    assert!(docker.reason.contains("docker 27.1 answers, but without root"), "{}", docker.reason);
    assert_eq!(verdict(&report, "images.docker"), Verdict::Yes);
    let with_docker = super::verdict::report(&Findings {
        engine: Engine::Docker,
        datacenters: vec![place("dc1", Engine::Docker)],
        ..found
    });
    assert!(!with_docker.serve.possible);
    assert_eq!(with_docker.serve.summary.matches("without root").count(), 1, "{}", with_docker.serve.summary);
}

#[test]
fn without_namespaces_only_the_simulated_engine_is_left() {
    let reason = "user.max_user_namespaces is 0: raise it with sysctl".to_owned();
    let found = Findings { embedded: Err(reason.clone()), network: Err(reason), ..ordinary() };
    let told = report(&found);
    assert!(!told.serve.possible);
    for expected in ["would not start", "user.max_user_namespaces is 0", "--engine simulated"] {
        assert!(told.serve.summary.contains(expected), "{}", told.serve.summary);
    }
    assert!(told.checks.iter().all(|row| !row.key.starts_with("embedded.")), "{told:#?}");
    assert_eq!(verdict(&told, "network"), Verdict::No);
    let simulated =
        Findings { engine: Engine::Simulated, datacenters: vec![place("dc1", Engine::Simulated)], ..found };
    assert!(report(&simulated).serve.possible);
}

#[test]
fn containers_that_cannot_be_linked_are_of_no_use() {
    let report =
        report(&Findings { network: Err("this kernel lacks bridges (bridge)".to_owned()), ..perfect() });
    for key in ["engine.embedded", "engine.docker", "network", "topology"] {
        assert_eq!(verdict(&report, key), Verdict::No, "{key}");
    }
    assert_eq!(verdict(&report, "engine.simulated"), Verdict::Yes);
    assert!(!report.serve.possible);
}

#[test]
fn what_the_embedded_engine_needs_besides_is_checked() {
    let mut found = perfect();
    found.data_dir.engine = Err("choose a shorter path".to_owned());
    assert!(
        report(&found)
            .serve
            .summary
            .contains("choose a shorter path; give another directory with --data-dir")
    );
    let found = Findings { image_sources: Err("no socket".to_owned()), ..perfect() };
    assert!(report(&found).serve.summary.contains("the settings for images are wrong: no socket"));
    let found = Findings { engine: Engine::Simulated, simulated: Err("no script".to_owned()), ..perfect() };
    assert!(!report(&found).serve.possible);
}

#[test]
fn data_centers_that_cannot_be_served_are_named() {
    let mut found = Findings { docker: Err("no answer".to_owned()), ..perfect() };
    found.datacenters = vec![place("dc1", Engine::Embedded), place("dc2", Engine::Docker)];
    let unknown = Err("there is no engine `podman`".to_owned());
    found.datacenters.push(Place {
        name: "dc3".to_owned(),
        engine_name: "podman".to_owned(),
        engine: unknown,
    });
    let report = report(&found);
    let verdicts: Vec<_> = report.datacenters.iter().map(|it| it.verdict).collect();
    assert_eq!(verdicts, [Verdict::Yes, Verdict::No, Verdict::No]);
    assert_eq!(verdict(&report, "engine.embedded"), Verdict::Yes);
    assert!(!report.serve.possible);
    for expected in
        ["dc2 with engine docker cannot be served: no answer", "dc3 with engine podman", "`podman`"]
    {
        assert!(report.serve.summary.contains(expected), "{}", report.serve.summary);
    }
    assert!(!report.serve.summary.contains("dc1"), "{}", report.serve.summary);
}

#[test]
fn links_that_are_not_emulated_need_best_effort() {
    let mut found = perfect();
    found.network.as_mut().unwrap().not_emulated = vec!["link x, dc1 to dc2: delay of 1000 us".to_owned()];
    let strict = report(&found);
    assert!(!strict.serve.possible && strict.serve.summary.contains("--best-effort"), "{strict:#?}");
    let lenient = report(&Findings { best_effort: true, ..found.clone() });
    assert!(lenient.serve.possible);
    assert_eq!(verdict(&lenient, "topology"), Verdict::Limited);
    let datacenters = vec![place("dc1", Engine::Simulated)];
    assert!(report(&Findings { engine: Engine::Simulated, datacenters, ..found }).serve.possible);
}

#[test]
fn a_directory_that_cannot_be_written_is_an_obstacle_and_a_server_in_it_is_not() {
    let mut found = perfect();
    found.data_dir.usable = Err("it cannot be written".to_owned());
    let told = report(&found);
    assert!(!told.serve.possible && told.serve.summary.contains("--data-dir"), "{}", told.serve.summary);
    let mut found = perfect();
    found.data_dir.has_server = true;
    let told = report(&found);
    assert!(
        told.serve.possible && told.serve.summary.contains("another server has"),
        "{}",
        told.serve.summary
    );
}

#[test]
fn leftovers_are_told_unless_a_server_looks_after_them() {
    let mut found = perfect();
    found.data_dir.engine = Ok(Seen { containers: 1, running: 1, namespaces: true, images: 0 });
    found.data_dir.datacenters = vec!["dc1".to_owned()];
    found.docker.as_mut().unwrap().containers = 2;
    let told = report(&found);
    let left = row(&told, "data-directory.leftovers");
    assert_eq!(left.verdict, Verdict::Limited);
    for expected in
        ["1 container of the embedded engine, 1 running", "namespaces, held", "2 containers in Docker", "dc1"]
    {
        assert!(left.reason.contains(expected), "{}", left.reason);
    }
    assert!(told.serve.possible);
    found.data_dir.has_server = true;
    assert_eq!(verdict(&report(&found), "data-directory.leftovers"), Verdict::Yes);
}
