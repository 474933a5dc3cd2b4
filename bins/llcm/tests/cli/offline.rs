//! Commands without a server: `pack`, `validate`, `plan`.

use std::fs;

use crate::run::{demo_package, llcm, root};

#[test]
fn a_package_is_the_same_for_the_same_content() {
    let dir = tempfile::tempdir().unwrap();
    let first = fs::read(demo_package(dir.path())).unwrap();
    assert_eq!(fs::read(demo_package(dir.path())).unwrap(), first);
    let told = llcm(&["validate", dir.path().join("demo-chain.tgo").to_str().unwrap()]).expect(0);
    assert!(told.starts_with("llcm.examples.demo-chain.1.0 ("), "{told}");
    assert!(told.ends_with("): no errors, no warnings\n"), "{told}");
}

#[test]
fn packing_says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    let to = dir.path().join("x.tgo");
    let pack = || llcm(&["pack", path, "--to", to.to_str().unwrap()]).expect_error(1);
    assert!(pack().contains("TOSCA-Metadata/NAPD.yaml: a package needs a manifest there"));
    fs::create_dir(dir.path().join("TOSCA-Metadata")).unwrap();
    let manifest = dir.path().join("TOSCA-Metadata/NAPD.yaml");
    fs::write(&manifest, "package_content: [{source: Definitions/nsd.yml}]\n").unwrap();
    assert!(pack().contains("lists Definitions/nsd.yml, which is not in"));
    fs::write(&manifest, "vendor: v\n").unwrap();
    let error = llcm(&["pack", path]).expect_error(1);
    assert!(error.contains("no `name`") && error.contains("--to"), "{error}");
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
    assert!(pack().contains("neither a file nor a directory"));
    assert!(!to.exists(), "a package that failed was left");
}

/// A package with an error in its NSD, a wrong hash and an unknown function.
fn broken_package(directory: &std::path::Path) -> String {
    let source = directory.join("broken");
    copy(&root().join("examples/demo-chain"), &source);
    let nsd = source.join("Definitions/demo-chain-nsd.yml");
    let text = fs::read_to_string(&nsd).unwrap().replace("\"demo-relay\"", "\"demo-rely\"");
    fs::write(&nsd, text.replace("\"relay:input\"", "\"rely:input\"")).unwrap();
    let file = directory.join("broken.tgo").to_str().unwrap().to_owned();
    llcm(&["pack", source.to_str().unwrap(), "--to", &file]).expect(0);
    file
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn validate_tells_every_finding_like_a_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let file = broken_package(dir.path());
    let told = llcm(&["validate", &file]).expect(1);
    insta::assert_snapshot!("validate-broken", told.replace(&file, "broken.tgo"));
    let ran = llcm(&["validate", &file, "--output", "json"]);
    assert_eq!(ran.code, Some(1));
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let findings = json["diagnostics"].as_array().unwrap();
    assert_eq!(json["errors"].as_u64().unwrap() + json["warnings"].as_u64().unwrap(), findings.len() as u64);
    let unknown = findings.iter().find(|one| one["message"].to_string().contains("demo-rely")).unwrap();
    assert_eq!(unknown["document"], "Definitions/demo-chain-nsd.yml");
    assert!(unknown["line"].as_u64().unwrap() > 1, "{unknown}");
}

#[test]
fn settings_change_what_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = demo_package(dir.path());
    for (set, code) in [("max_entries=3", 1), ("max_entries=30", 0), ("integrity=warn", 0)] {
        let ran = llcm(&["validate", &file, "--set", set]);
        assert_eq!(ran.code, Some(code), "{set}: {ran:?}");
    }
    let error = llcm(&["validate", &file, "--set", "integrty=off"]).expect_error(1);
    assert!(error.contains("did you mean `integrity`?"), "{error}");
    let error = llcm(&["plan", "absent.tgo"]).expect_error(1);
    assert!(error.contains("cannot open absent.tgo"), "{error}");
}

#[test]
fn a_plan_says_all_that_would_be() {
    let dir = tempfile::tempdir().unwrap();
    let file = demo_package(dir.path());
    let plan = llcm(&["plan", &file, "--instances", "2", "--output", "json"]);
    // Digest and MAC addresses follow from the archive's bytes, which a new version of deflate may change.
    let mut plan = plan.json();
    plan["package"]["sha1"] = "(sha1)".into();
    for interface in
        plan.pointer_mut("/instances").unwrap().as_array_mut().unwrap().iter_mut().flat_map(|instance| {
            instance["containers"]
                .as_array_mut()
                .unwrap()
                .iter_mut()
                .flat_map(|one| one["interfaces"].as_array_mut().unwrap())
        })
    {
        interface["mac"] = "(mac)".into();
    }
    insta::assert_snapshot!("plan-json", serde_json::to_string_pretty(&plan).unwrap());
    insta::assert_snapshot!("plan-table", llcm(&["plan", &file]).expect(0));
    let topology = root().join("examples/topology.yml");
    let first = llcm(&["plan", &file, "--topology", topology.to_str().unwrap(), "--set", "placement=first"]);
    insta::assert_snapshot!("plan-first", first.expect(0));
}

#[test]
fn a_plan_shows_what_data_centers_carry_and_refuses_more() {
    let dir = tempfile::tempdir().unwrap();
    let file = demo_package(dir.path());
    let topology = dir.path().join("topology.yml");
    let text = "datacenters:\n- {name: edge, capacity: {cpu: 0.75, memory: 1GiB}}\n- {name: core, capacity: {cpu: 8}}\n\
                links:\n- {ends: [edge, core], delay: 10ms}\n";
    fs::write(&topology, text).unwrap();
    let plan = |placement: &str| {
        llcm(&["plan", &file, "--topology", topology.to_str().unwrap(), "--placement", placement])
    };
    insta::assert_snapshot!("plan-latency", plan("latency").expect(0));
    let refused = plan("round-robin");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let expected =
        "error[no-capacity]: network_functions: the units placed on edge: 1 CPUs demanded, 0.75 free of 0.75";
    assert!(refused.out.contains(expected), "{}", refused.out);
    // Before what is said for the dialect.
    let set = ["--set", "tango=placement=first"];
    let path = topology.to_str().unwrap();
    let plan = llcm(&[
        "plan",
        &file,
        "--topology",
        path,
        set[0],
        set[1],
        "--placement",
        "least-loaded",
        "-o",
        "json",
    ]);
    assert_eq!(plan.json()["instances"][0]["placement"]["algorithm"], "least-loaded");
    let error = llcm(&["plan", &file, "--placement", "best"]).expect_error(2);
    assert!(error.contains("latency"), "{error}");
}

#[test]
fn what_cannot_be_planned_has_findings_and_no_instances() {
    let dir = tempfile::tempdir().unwrap();
    let broken = broken_package(dir.path());
    let text = dir.path().join("text.tgo");
    fs::write(&text, "no package").unwrap();
    let good = demo_package(dir.path());
    for (args, code) in [
        (&["plan", &broken][..], "unknown-vnfd"),
        (&["plan", text.to_str().unwrap()], "not-an-archive"),
        (&["plan", &good, "--set", "eline_pool=10.0.0.0/24x1"], "pool-exhausted"),
    ] {
        let all: Vec<&str> = args.iter().copied().chain(["--output", "json"]).collect();
        let ran = llcm(&all);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let plan: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(plan["format"], 1);
        assert_eq!(plan["instances"], serde_json::json!([]));
        let codes: Vec<&str> =
            plan["diagnostics"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
        assert!(codes.contains(&code), "{codes:?}");
        let told = llcm(args);
        assert_eq!(told.code, Some(1));
        assert!(told.out.contains(&format!("error[{code}]")), "{}", told.out);
    }
}
