//! Topology files and drawings: `topology check`, `topology import`, `topology schema`, `graph`.

use std::fs;

use serde_json::{Value, json};

use crate::run::{Server, demo_package, llcm, root};

fn example(name: &str) -> String {
    root().join("examples").join(name).to_str().unwrap().to_owned()
}

#[test]
fn check_tells_every_finding_like_a_compiler() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("topology.yml");
    let path = file.to_str().unwrap();
    fs::write(&file, "datacenters: [a, b]\nlinks:\n- {ends: [a, c]}\n- {ends: [a, b], dealy: 1ms, mtu: 9}\n")
        .unwrap();
    assert_eq!(
        llcm(&["topology", "check", path]).expect(1),
        format!(
            "error: 3:14: links[0].ends: there is no data center c\n\
             warning: 4:18: links[1].dealy: the key is not known and ignored; known are ends, name, bandwidth, delay, \
             jitter, loss, mtu, queue, forward, backward, up\n\
             error: 4:35: links[1].mtu: expected a number of bytes from 1280 to 9000\n\
             {path}: 2 errors, 1 warning\n"
        )
    );
    let ran = llcm(&["topology", "check", path, "--output", "json"]);
    assert_eq!(ran.code, Some(1));
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["errors"], &told["warnings"], &told["links"]), (&json!(2), &json!(1), &json!(null)));
    assert_eq!((&told["findings"][1]["line"], &told["findings"][1]["column"]), (&json!(4), &json!(18)));
    let error = llcm(&["topology", "check", "absent.yml"]).expect_error(1);
    assert!(error.contains("cannot read the topology file absent.yml"), "{error}");
    // Without an end.
    let error = llcm(&["topology", "check", "/dev/zero"]).expect(1);
    assert!(error.contains("larger than 8 MiB"), "{error}");
}

#[test]
fn the_examples_are_in_order() {
    for (name, size) in [
        ("topology.yml", "3 data centers, 2 links"),
        ("topology-templates.yml", "15 data centers, 15 links"),
        ("capitals.graphml", "5 data centers, 5 links"),
    ] {
        let file = example(name);
        assert_eq!(
            llcm(&["topology", "check", &file]).expect(0),
            format!("{file}: no errors, no warnings; {size}\n")
        );
    }
}

/// GraphML is a topology file, and can be made one in YAML: the plans are the same.
#[test]
fn graphml_is_taken_wherever_a_topology_is() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let graphml = example("capitals.graphml");
    let yaml = dir.path().join("capitals.yml").to_str().unwrap().to_owned();
    let printed = llcm(&["topology", "import", &graphml]).expect(0);
    assert_eq!(llcm(&["topology", "import", &graphml, "--to", &yaml]).expect(0), "");
    assert_eq!(fs::read_to_string(&yaml).unwrap(), printed);
    assert!(printed.contains("delay: 868us"), "{printed}");
    let plan = |file: &str| llcm(&["plan", &package, "--topology", file, "--output", "json"]).json();
    let planned = plan(&graphml);
    assert_eq!(planned["instances"][0]["containers"][1]["datacenter"], "Amsterdam");
    assert_eq!(planned, plan(&yaml));
    // What is left out or unknown is told, on standard error.
    let text = fs::read_to_string(&graphml).unwrap().replace("50.85045", "far away");
    let odd = dir.path().join("odd.graphml").to_str().unwrap().to_owned();
    fs::write(&odd, text).unwrap();
    let ran = llcm(&["topology", "import", &odd]);
    assert!(
        ran.err.contains("odd.graphml: warning: ") && ran.err.contains("no valid coordinates"),
        "{ran:?}"
    );
    assert_eq!(ran.code, Some(0));
    fs::write(&odd, "<!DOCTYPE x [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><graphml>&x;</graphml>")
        .unwrap();
    let error = llcm(&["topology", "import", &odd]).expect_error(1);
    assert!(error.contains("1:1: document type definitions are not read"), "{error}");
}

#[test]
fn the_schema_is_the_one_in_the_docs() {
    let printed = llcm(&["topology", "schema"]).expect(0);
    assert_eq!(printed, fs::read_to_string(root().join("docs/topology.schema.json")).unwrap());
}

#[test]
fn graphs_of_files_need_no_server() {
    let file = example("topology.yml");
    for format in ["text", "dot", "mermaid", "json"] {
        let drawn = llcm(&["graph", "--topology", &file, "--format", format]).expect(0);
        insta::assert_snapshot!(format!("graph-offline-{format}"), drawn);
    }
    let error = llcm(&["graph", "--server", "http://127.0.0.1:1"]).expect_error(1);
    assert!(error.contains("cannot reach a server"), "{error}");
}

#[test]
fn the_graph_of_a_server_shows_its_instances() {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let data_dir = dir.path().join("data");
    let server = Server::start(&data_dir, &["--topology", &example("topology.yml")]);
    server.llcm(&["up", &package]).expect(0);
    let json: Value = serde_json::from_str(&server.llcm(&["graph", "--format", "json"]).expect(0)).unwrap();
    let id = json["instances"][0]["id"].as_str().unwrap().to_owned();
    for format in ["text", "dot", "mermaid"] {
        let drawn = server.llcm(&["graph", "--format", format]).expect(0).replace(&id, "(id)");
        insta::assert_snapshot!(format!("graph-{format}"), drawn);
    }
    server.stop();
}
