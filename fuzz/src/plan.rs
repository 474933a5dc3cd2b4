//! Planning a service whose NSD is hostile, and what must hold of the plans.

use std::collections::{BTreeMap, BTreeSet};

use llcm_descriptors::{LoadOptions, load};
use llcm_lifecycle::plan::{InstanceDocument, PackageInput, plan_offline};
use llcm_lifecycle::settings::{LinkRule, SapSettings};
use llcm_lifecycle::{Dialect, Settings};
use llcm_names::PackageHash;

use crate::{NAPD, NAPD_PATH};

const VNFD: &str = "\
name: fw
virtual_deployment_units:
- id: vdu01
  vm_image: 'a:b'
  vm_image_format: docker
  connection_points: [{id: input}, {id: output}, {id: mgmt, address: 30.0.0.9/24}]
- {id: vdu02, vm_image: 'a:b', vm_image_format: docker, connection_points: [{id: eth0, publish: {80: 8080}}]}
connection_points: [{id: input}, {id: output}, {id: mgmt}, {id: both}]
virtual_links:
- {id: both, connectivity_type: E-LAN, connection_points_reference: ['vdu01:mgmt', 'vdu02:eth0', both]}
";

/// # Panics
/// When a plan is none that can be acted on.
pub fn plan(bytes: &[u8]) {
    let files =
        [(NAPD_PATH, NAPD.as_bytes()), ("vnfd.yaml", VNFD.as_bytes()), ("nsd.yaml", bytes)];
    let files: BTreeMap<String, Vec<u8>> =
        files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect();
    let loaded = load(&files, &LoadOptions { build_images: true });
    let input = PackageInput {
        sha1: PackageHash::parse(&"0".repeat(40)).expect("40 digits"),
        package: loaded.package,
        nsd: loaded.nsd,
        descriptors: loaded.descriptors,
        diagnostics: loaded.diagnostics,
        env_files: BTreeMap::new(),
    };
    let topology = llcm_topology::default_topology();
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        for deploy in [false, true] {
            let saps = SapSettings { deploy, nat: true, ..SapSettings::default() };
            let settings = Settings { links: LinkRule::Declared, saps, ..Settings::default() };
            let document = plan_offline(&input, &topology, &settings, dialect, 2);
            let mut names = BTreeSet::new();
            for instance in &document.instances {
                check(instance, &mut names);
            }
        }
    }
}

fn check(instance: &InstanceDocument, names: &mut BTreeSet<String>) {
    for container in &instance.containers {
        assert!(names.insert(container.engine_name.to_string()), "a name of two containers");
        let interfaces: BTreeSet<_> = container.interfaces.iter().map(|it| &it.name).collect();
        assert_eq!(interfaces.len(), container.interfaces.len());
    }
    let lines = instance.elines.iter().map(|line| (&line.ends, 2));
    let lans = instance.elans.iter().map(|lan| (&lan.members, usize::MAX));
    for (ends, most) in lines.chain(lans) {
        assert!(!ends.is_empty() && ends.len() <= most);
        let addresses: BTreeSet<_> = ends.iter().map(|end| end.address.ip()).collect();
        assert_eq!(addresses.len(), ends.len(), "an address of two ends");
        for end in ends {
            let in_container = instance.containers.iter().any(|it| it.name == end.container);
            assert!(in_container || instance.saps.iter().any(|it| it.name == end.container));
        }
    }
    for sap in instance.saps.iter().filter(|sap| sap.container.is_none()) {
        assert!(sap.interface.is_some() && sap.address.is_some(), "one of the host is on a link");
    }
}
