//! Packages from text: each file begins with a line `//- path`.

use std::collections::BTreeMap;

use llcm_descriptors::{DeploymentUnit, LoadOptions, Loaded, load};

pub(crate) const NAPD: &str = "\
vendor: eu.test
name: test-package
version: '0.1'
package_content:
- {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}
- {source: vnfd.yaml, content-type: application/vnd.5gtango.vnfd}
";

pub(crate) const NSD: &str = "\
vendor: eu.test
name: test-ns
version: '0.9'
network_functions:
- {vnf_id: vnf0, vnf_name: test-vnf}
";

pub(crate) const VNFD: &str = "\
vendor: eu.test
name: test-vnf
version: '0.9'
virtual_deployment_units:
- {id: vdu01, vm_image: 'ubuntu:trusty', vm_image_format: docker}
";

/// Files from text; what is missing of manifest, NSD and VNFD is filled in.
pub(crate) fn files(fixture: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for part in fixture.split("//- ").skip(1) {
        let (path, text) = part.split_once('\n').unwrap_or((part, ""));
        files.insert(path.trim().to_owned(), text.as_bytes().to_vec());
    }
    if !files.contains_key("META-INF/MANIFEST.MF") {
        for (path, text) in [("TOSCA-Metadata/NAPD.yaml", NAPD), ("nsd.yaml", NSD), ("vnfd.yaml", VNFD)] {
            files.entry(path.to_owned()).or_insert_with(|| text.as_bytes().to_vec());
        }
    }
    files
}

pub(crate) fn loaded(fixture: &str) -> Loaded {
    load(&files(fixture), &LoadOptions::default())
}

/// All findings, one a line.
pub(crate) fn findings(fixture: &str) -> String {
    let lines: Vec<_> = loaded(fixture).diagnostics.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The codes of all findings.
pub(crate) fn codes(fixture: &str) -> Vec<String> {
    loaded(fixture).diagnostics.into_iter().map(|diagnostic| diagnostic.code).collect()
}

/// The only unit of a package whose VNFD has this unit under `key`, and the findings' codes.
pub(crate) fn unit(key: &str, text: &str) -> (Option<DeploymentUnit>, Vec<String>) {
    let indented: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let loaded = loaded(&format!("//- vnfd.yaml\nname: test-vnf\n{key}:\n-{}", &indented[1..]));
    let codes = loaded.diagnostics.into_iter().map(|diagnostic| diagnostic.code).collect();
    let unit = loaded.descriptors.map(|descriptors| descriptors.vnfds["test-vnf"].units[0].clone());
    (unit, codes)
}

pub(crate) fn vdu(text: &str) -> (Option<DeploymentUnit>, Vec<String>) {
    unit("virtual_deployment_units", &format!("id: vdu01\nvm_image: 'a:b'\nvm_image_format: docker\n{text}"))
}

pub(crate) fn cdu(text: &str) -> (Option<DeploymentUnit>, Vec<String>) {
    unit("cloudnative_deployment_units", &format!("id: cdu01\nimage: 'a:b'\n{text}"))
}
