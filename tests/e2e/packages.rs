//! The packages that the tests upload.

use std::path::{Path, PathBuf};

use llcm_testkit::PackageBuilder;

use crate::lab::{Lab, root};

/// A package of the originals' collection, `.tgo` or `.son`, or `None` (with a message) where the collection is
/// absent.
pub(crate) fn corpus(name: &str) -> Option<PathBuf> {
    let kind = if name.ends_with(".son") { "son" } else { "tgo" };
    let path = root().join("../shared/corpus").join(kind).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: {name} is not here");
    None
}

/// The sample package of three VNFs in a chain, with `input`, `output` and `mgmt`, as a file.
pub(crate) fn demo_chain(lab: &Lab) -> PathBuf {
    let path = lab.dir.path().join("demo-chain.tgo");
    std::fs::write(&path, llcm_testkit::demo_chain().build()).unwrap();
    lab.give(&path);
    path
}

/// One deployment unit of a generated service, as the YAML lines of its VDU beyond id, image and interfaces.
pub(crate) struct Unit<'a> {
    pub(crate) vnf_id: &'a str,
    pub(crate) image: &'a str,
    /// Complete lines, indented by two blanks under the unit (`  vm_cmd_start: "..."`).
    pub(crate) extra: &'a str,
    /// Complete flow maps, one per further connection point (`{id: web, port: 80, publish: {80: 8080}}`).
    pub(crate) points: &'a [&'a str],
}

impl<'a> Unit<'a> {
    pub(crate) fn new(vnf_id: &'a str, image: &'a str) -> Self {
        Self { vnf_id, image, extra: "", points: &[] }
    }
}

/// Writes a package of a chain of VNFs: E-Lines `output` -> `input` between neighbours, one E-LAN `mgmt`.
pub(crate) fn chain(dir: &Path, name: &str, units: &[Unit<'_>]) -> PathBuf {
    let header = "vendor: eu.example\nversion: \"0.1\"\ndescriptor_schema: \"-\"\n";
    let mut fixture = format!(
        "//- /TOSCA-Metadata/NAPD.yaml\n{header}name: {name}\npackage_content:\n\
         - {{source: nsd.yaml, content-type: application/vnd.5gtango.nsd}}\n"
    );
    for unit in units {
        fixture +=
            &format!("- {{source: {}.yaml, content-type: application/vnd.5gtango.vnfd}}\n", unit.vnf_id);
    }
    fixture += &format!("//- /nsd.yaml\n{header}name: {name}\nnetwork_functions:\n");
    for Unit { vnf_id, .. } in units {
        fixture += &format!(
            "- {{vnf_id: {vnf_id}, vnf_vendor: eu.example, vnf_name: {vnf_id}, vnf_version: \"0.1\"}}\n"
        );
    }
    fixture += "connection_points: []\nforwarding_graphs: []\nvirtual_links:\n";
    let members: Vec<String> = units.iter().map(|unit| format!("\"{}:mgmt\"", unit.vnf_id)).collect();
    fixture += &format!(
        "- {{id: mgmt, connectivity_type: E-LAN, connection_points_reference: [{}]}}\n",
        members.join(", ")
    );
    for (number, pair) in units.windows(2).enumerate() {
        fixture += &format!(
            "- {{id: hop{number}, connectivity_type: E-Line, connection_points_reference: [\"{}:output\", \"{}:input\"]}}\n",
            pair[0].vnf_id, pair[1].vnf_id
        );
    }
    for Unit { vnf_id, image, extra, points } in units {
        let points: String = points.iter().map(|point| format!("  - {point}\n")).collect();
        fixture += &format!(
            "//- /{vnf_id}.yaml\n{header}name: {vnf_id}\nvirtual_deployment_units:\n- id: vdu01\n  vm_image: {image}\n  \
             vm_image_format: docker\n  resource_requirements: {{cpu: {{vcpus: 1}}, memory: {{size: 64, size_unit: MB}}}}\n\
             {extra}  connection_points:\n  - {{id: mgmt, interface: ipv4, type: management}}\n  \
             - {{id: input, interface: ipv4, type: external}}\n  - {{id: output, interface: ipv4, type: external}}\n{points}"
        );
    }
    let path = dir.join(format!("{name}.tgo"));
    std::fs::write(&path, PackageBuilder::tgo(&fixture).build()).unwrap();
    path
}

/// A package of one unit whose image is built from a Dockerfile that leaves a word in `/proof`.
pub(crate) fn built(lab: &Lab, word: &str) -> PathBuf {
    let header = "vendor: eu.example\nversion: \"0.1\"\ndescriptor_schema: \"-\"\n";
    let fixture = format!(
        "//- /TOSCA-Metadata/NAPD.yaml\n{header}name: built\npackage_content:\n\
         - {{source: nsd.yaml, content-type: application/vnd.5gtango.nsd}}\n\
         - {{source: vnfd.yaml, content-type: application/vnd.5gtango.vnfd}}\n\
         - {{source: docker/Dockerfile, content-type: text/plain}}\n\
         //- /nsd.yaml\n{header}name: built\nnetwork_functions:\n\
         - {{vnf_id: Web, vnf_vendor: eu.example, vnf_name: web, vnf_version: \"0.1\"}}\n\
         //- /vnfd.yaml\n{header}name: web\nvirtual_deployment_units:\n- id: vdu01\n  \
         vm_image: \"file:///docker/Dockerfile\"\n  vm_image_format: docker\n  resource_requirements: {{}}\n  \
         connection_points:\n  - {{id: mgmt}}\n\
         //- /docker/Dockerfile\nFROM example/base:1\nRUN echo {word} > /proof\nCMD [\"/bin/sh\"]\n"
    );
    let package = lab.dir.path().join(format!("{word}.tgo"));
    std::fs::write(&package, PackageBuilder::tgo(&fixture).build()).unwrap();
    package
}
