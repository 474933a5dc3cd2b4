//! What the targets share: loading a package with one hostile document, and what must hold then.

pub mod http;
pub mod image;
pub mod plan;

use std::collections::BTreeMap;

use llcm_descriptors::{LoadOptions, Loaded, Severity, Source, load};

const NAPD: &str = "\
name: fuzz
package_content:
- {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}
- {source: vnfd.yaml, content-type: application/vnd.5gtango.vnfd}
";
const NSD: &str = "\
name: ns
network_functions:
- {vnf_id: vnf0, vnf_name: fw}
- {vnf_id: vnf1, vnf_name: fw}
";
const VNFD: &str = "\
name: fw
virtual_deployment_units:
- {id: vdu01, vm_image: 'a:b', vm_image_format: docker}
";

/// The paths of the documents that a target replaces.
pub const NAPD_PATH: &str = "TOSCA-Metadata/NAPD.yaml";
/// The manifest of a SONATA package.
pub const MANIFEST_PATH: &str = "META-INF/MANIFEST.MF";

/// Loads a package whose document at `path` is `bytes`, the rest being in order.
pub fn document(path: &str, bytes: &[u8]) {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (path, text) in [("nsd.yaml", NSD), ("vnfd.yaml", VNFD), ("docker/Dockerfile", "FROM scratch\n")] {
        files.insert(path.to_owned(), text.as_bytes().to_vec());
    }
    if path != MANIFEST_PATH {
        files.insert(NAPD_PATH.to_owned(), NAPD.as_bytes().to_vec());
    }
    files.insert(path.to_owned(), bytes.to_vec());
    source(&files);
}

/// Loads a package and checks what must hold whatever is in it.
///
/// # Panics
/// When it does not hold.
pub fn source(files: &dyn Source) -> Loaded {
    let loaded = load(files, &LoadOptions { build_images: true });
    let failed = loaded.diagnostics.iter().any(|found| found.severity == Severity::Error);
    assert_eq!(loaded.descriptors.is_none(), failed);
    assert!(loaded.diagnostics.len() < 200 * 200);
    for found in &loaded.diagnostics {
        assert!(!found.code.is_empty() && !found.message.is_empty());
        assert!(found.message.len() < 4096, "a message of {} bytes", found.message.len());
    }
    for entry in &loaded.contents {
        assert!(
            !entry.path.starts_with('/')
                && entry.path.split('/').all(|part| !part.is_empty() && part != "..")
        );
    }
    if let Some(descriptors) = &loaded.descriptors {
        for function in &descriptors.nsd.functions {
            let vnfd = &descriptors.vnfds[&function.vnf_name];
            for unit in &vnfd.units {
                assert!(unit.cpu_bandwidth > 0.0 && unit.cpu_bandwidth.is_finite());
                let mut names: Vec<_> = unit.interfaces.iter().map(|interface| &interface.name).collect();
                names.sort();
                names.dedup();
                assert_eq!(names.len(), unit.interfaces.len(), "interface names are unique");
            }
        }
    }
    loaded
}

/// Loads a topology file and checks what must hold whatever is in it.
///
/// # Panics
/// When it does not hold.
pub fn topology(bytes: &[u8]) {
    let (topology, findings) = llcm_topology::load(bytes);
    assert!(topology.is_some() || !findings.is_empty(), "no topology, and nothing said about it");
    assert!(findings.len() <= 1001 && findings.iter().all(|finding| finding.line > 0 && finding.column > 0));
    let Some(topology) = topology else { return };
    assert!((1..=4096).contains(&topology.datacenters.len()) && topology.links.len() <= 65_536);
    let names: std::collections::BTreeSet<_> = topology.datacenters.iter().map(|dc| &dc.name).collect();
    assert_eq!(names.len(), topology.datacenters.len(), "names of data centers are unique");
    let links: std::collections::BTreeSet<_> = topology.links.iter().map(|link| &link.name).collect();
    assert_eq!(links.len(), topology.links.len(), "names of links are unique");
    for link in &topology.links {
        assert!(link.a.dc != link.b.dc && names.contains(&link.a.dc) && names.contains(&link.b.dc));
    }
    // Tens of thousands of links would take the time of thousands of other inputs.
    if topology.links.len() < 500 {
        let again = llcm_topology::load(llcm_topology::to_yaml(&topology).as_bytes());
        assert_eq!(again, (Some(topology), Vec::new()), "what is written is read as what it was");
    }
}

/// As [`topology`], for inputs that are in GraphML.
///
/// # Panics
/// When something does not hold.
pub fn graphml(bytes: &[u8]) {
    // YAML is the business of the other target.
    if bytes.trim_ascii_start().starts_with(b"<") {
        topology(bytes);
    }
}

/// A schedule of changes of links: bounded, in the order of time, and made in that order by whatever topology has such
/// links.
///
/// # Panics
/// When it does not hold.
pub fn schedule(bytes: &[u8]) {
    use llcm_topology::{Change, schedule, units};
    let (schedule, findings) = llcm_topology::load_schedule(bytes);
    assert!(schedule.is_some() || !findings.is_empty(), "no schedule, and nothing said about it");
    let Some(schedule) = schedule else { return };
    assert!((1..=schedule::MAX_CHANGES).contains(&schedule.changes.len()));
    assert!(schedule.changes.is_sorted_by_key(|change| change.at_us));
    let mut topology = llcm_topology::default_topology();
    for scheduled in schedule.changes {
        assert!(scheduled.at_us <= units::LONGEST_US && !scheduled.change.is_empty());
        let before = topology.clone();
        let change = Change::Link { name: "dc1-dc2".to_owned(), change: scheduled.change };
        let made = topology.change(&change);
        assert!(made.is_ok() || topology == before, "a change that is refused changes nothing");
        assert!(!change.to_string().is_empty());
    }
}
