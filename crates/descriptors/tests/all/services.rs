//! Services, links and packages.

use crate::common::{codes, loaded};
use llcm_descriptors::{ConnectivityType, Endpoint, PackageKind};

fn function(id: &str, cp: &str) -> Endpoint {
    Endpoint::Function { id: id.to_owned(), cp: cp.to_owned() }
}

fn own(cp: &str) -> Endpoint {
    Endpoint::Own { cp: cp.to_owned() }
}

const TWO: &str = "name: ns\nnetwork_functions:\n- {vnf_id: vnf0, vnf_name: test-vnf}\n- {vnf_id: mp.input, vnf_name: test-vnf}\n\
    connection_points:\n- {id: 'ns:mgmt', type: management}\n- {id: input}\n";

#[test]
fn endpoints_in_every_spelling() {
    let loaded = loaded(&format!(
        "//- nsd.yaml\n{TWO}virtual_links:\n- id: a\n  connectivity_type: E-LAN\n  connection_points_reference:\n  \
         - vnf0:mgmt\n  - mp.input:data:x\n  - input\n  - ns:input\n  - ns:mgmt\n  - mgmt\n  - vnf0:mgmt\n"
    ));
    let nsd = loaded.descriptors.unwrap().nsd;
    assert_eq!(
        nsd.links[0].endpoints,
        [
            function("vnf0", "mgmt"),
            function("mp.input", "data:x"),
            own("input"),
            own("input"),
            own("mgmt"),
            own("mgmt")
        ]
    );
    assert_eq!(nsd.links[0].connectivity, ConnectivityType::ELan);
    assert_eq!(nsd.links[0].path, "virtual_links[0]");
    assert!(!nsd.has_forwarding_graphs);
    let codes: Vec<_> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
    assert_eq!(
        codes,
        ["unknown-endpoint", "duplicate-endpoint"],
        "the undeclared `mgmt`, the second `vnf0:mgmt`"
    );
}

#[test]
fn links_that_say_too_little() {
    let link = |text: &str| codes(&format!("//- nsd.yaml\n{TWO}virtual_links:\n- {text}\n"));
    let refs = "connection_points_reference: ['vnf0:a', 'mp.input:b']";
    assert_eq!(link(&format!("{{connectivity_type: e-line, {refs}}}")), Vec::<String>::new());
    assert_eq!(link(&format!("{{id: a, {refs}}}")), ["missing-connectivity"]);
    assert_eq!(link(&format!("{{id: a, connectivity_type: ring, {refs}}}")), ["unknown-connectivity"]);
    assert_eq!(link("{id: a, connectivity_type: E-Line}"), ["empty-link"]);
    assert_eq!(
        link("{id: a, connectivity_type: E-Line, connection_points_reference: ['vnf9:a', 'vnf0:b']}"),
        ["unknown-endpoint"]
    );
    assert_eq!(
        link("{id: a, connectivity_type: E-Line, connection_points_reference: ['vnf0:', 'vnf0:b']}"),
        ["invalid-endpoint"]
    );
    assert_eq!(link("{id: a, connectivity_type: E-Line, connection_points_reference: vnf0}"), ["wrong-type"]);
    let two = format!(
        "{{id: a, connectivity_type: E-Line, {refs}}}\n- {{id: a, connectivity_type: E-Line, {refs}}}"
    );
    assert_eq!(link(&two), ["duplicate-link-id"]);
}

#[test]
fn roots_of_a_tree() {
    let text = format!(
        "//- nsd.yaml\n{TWO}virtual_links:\n- id: t\n  connectivity_type: E-Tree\n  root_requirement: 'vnf0:a'\n  \
         connection_points_reference: ['vnf0:a', 'mp.input:b']\n- id: free\n  connectivity_type: E-Tree\n  \
         root_requirement: at least 1 Gbps\n  connection_points_reference: ['vnf0:c', 'mp.input:d']\n"
    );
    let links = loaded(&text).descriptors.unwrap().nsd.links;
    assert_eq!(links[0].roots, [function("vnf0", "a")]);
    assert_eq!(links[1].roots, []);
}

#[test]
fn a_forwarding_graphs_key_counts_even_when_it_is_empty() {
    for (text, expected) in [("", false), ("forwarding_graphs:\n", true), ("forwarding_graphs: []\n", true)] {
        let loaded = loaded(&format!("//- nsd.yaml\n{TWO}{text}"));
        assert_eq!(loaded.descriptors.unwrap().nsd.has_forwarding_graphs, expected, "{text:?}");
    }
}

#[test]
fn functions_are_linked_by_name_alone() {
    let nsd = |functions: &str| codes(&format!("//- nsd.yaml\nname: ns\nnetwork_functions:\n{functions}"));
    let same = "- {vnf_id: a, vnf_name: test-vnf, vnf_vendor: other, vnf_version: '99'}\n- {vnf_id: b, vnf_name: test-vnf}\n";
    assert_eq!(nsd(same), Vec::<String>::new());
    assert_eq!(nsd("- {vnf_id: a, vnf_name: other}\n"), ["unknown-vnfd"]);
    assert_eq!(nsd("- {vnf_id: a}\n"), ["missing-id"]);
    assert_eq!(
        nsd("- {vnf_id: a, vnf_name: test-vnf}\n- {vnf_id: a, vnf_name: test-vnf}\n"),
        ["duplicate-vnf-id"]
    );
    assert_eq!(nsd("- {vnf_id: -rf, vnf_name: test-vnf}\n"), ["invalid-id"]);
    assert_eq!(codes("//- nsd.yaml\nname: ns\n"), ["no-functions"]);
    assert_eq!(codes("//- nsd.yaml\nname: ns\nnetwork_functions: null\n"), ["no-functions"]);
}

#[test]
fn the_last_of_several_vnfds_with_one_name_wins() {
    let napd =
        format!("{}- {{source: b.yaml, content-type: application/vnd.5gtango.vnfd}}\n", crate::common::NAPD);
    let loaded = loaded(&format!(
        "//- TOSCA-Metadata/NAPD.yaml\n{napd}//- b.yaml\nname: test-vnf\nversion: second\n\
         cloudnative_deployment_units:\n- {{id: cdu01, image: second}}\n"
    ));
    let codes: Vec<_> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code.as_str()).collect();
    assert_eq!(codes, ["duplicate-vnfd"]);
    let descriptors = loaded.descriptors.unwrap();
    assert_eq!(descriptors.vnfds["test-vnf"].id.version, "second");
    assert_eq!(descriptors.vnfds["test-vnf"].document, "b.yaml");
}

#[test]
fn vnfds_that_the_service_does_not_use_are_not_looked_into() {
    let napd =
        format!("{}- {{source: b.yaml, content-type: application/vnd.5gtango.vnfd}}\n", crate::common::NAPD);
    let fixture = format!(
        "//- TOSCA-Metadata/NAPD.yaml\n{napd}//- b.yaml\nname: unused\nvirtual_deployment_units:\n- {{vm_image_format: qcow2}}\n"
    );
    assert_eq!(codes(&fixture), Vec::<String>::new());
}

#[test]
fn links_inside_a_function() {
    let loaded = loaded(
        "//- vnfd.yaml\nname: test-vnf\nconnection_points: [{id: mgmt}, {id: 'vnf:data'}]\n\
         virtual_deployment_units:\n- {id: vdu01, vm_image: a, vm_image_format: docker, connection_points: [{id: eth0}, {id: 'vdu01:eth1'}]}\n\
         virtual_links:\n- {id: m, connectivity_type: E-LAN, connection_points_reference: ['vdu01:eth0', mgmt]}\n\
         - {id: d, connectivity_type: E-LAN, connection_points_reference: ['vdu01:eth1', 'vnf:data', 'vdu9:x']}\n",
    );
    let links = &loaded.descriptors.as_ref().unwrap().vnfds["test-vnf"].links;
    assert_eq!(links[0].endpoints, [function("vdu01", "eth0"), own("mgmt")]);
    assert_eq!(links[1].endpoints, [function("vdu01", "eth1"), own("vnf:data"), function("vdu9", "x")]);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].code, "unknown-endpoint");
}

#[test]
fn a_sonata_package() {
    let fixture = |manifest: &str| {
        format!(
            "//- META-INF/MANIFEST.MF\nname: son\nvendor: v\nversion: 0.10\nentry_service_template: /s/nsd.yml\n{manifest}\
             //- s/nsd.yml\n{}//- f/vnfd.yml\n{}",
            crate::common::NSD,
            crate::common::VNFD
        )
    };
    let content = "package_content:\n- {name: /f/vnfd.yml, content-type: application/sonata.function_descriptor, md5: abc}\n\
        - {name: /f/missing.sh, content-type: application/x-sh}\n";
    let loaded = loaded(&fixture(content));
    let descriptors = loaded.descriptors.unwrap();
    assert_eq!(descriptors.package.kind, PackageKind::Son);
    assert_eq!(descriptors.package.id.version, "0.10", "as written, not as a number");
    assert_eq!(
        (loaded.contents[0].path.as_str(), loaded.contents[0].algorithm.as_str()),
        ("f/vnfd.yml", "MD5")
    );
    assert_eq!(loaded.contents[1].algorithm, "");
    assert_eq!(loaded.diagnostics[0].code, "missing-file");
    assert_eq!(codes("//- META-INF/MANIFEST.MF\nname: son\n"), ["no-nsd"]);
    assert_eq!(
        codes("//- META-INF/MANIFEST.MF\nname: son\nentry_service_template: ../../etc/passwd\n"),
        ["invalid-path"]
    );
}

#[test]
fn tolerances_of_the_text() {
    let crlf = crate::common::NSD.replace('\n', "\r\n");
    assert_eq!(codes(&format!("//- nsd.yaml\n{crlf}")), Vec::<String>::new());
    let bom = format!("\u{feff}---\n{}", crate::common::NSD);
    assert_eq!(codes(&format!("//- nsd.yaml\n{bom}")), Vec::<String>::new());
    assert_eq!(
        codes(&format!("//- nsd.yaml\n{}unknown: {{a: [b]}}\nlogo: null\n", crate::common::NSD)),
        Vec::<String>::new()
    );
    let merged =
        "name: &n ns\nbase: &base {vnf_name: test-vnf}\nnetwork_functions:\n- {<<: *base, vnf_id: a}\n";
    assert_eq!(codes(&format!("//- nsd.yaml\n{merged}")), Vec::<String>::new());
    let twice = loaded(&format!("//- nsd.yaml\n{}version: '1.0'\n", crate::common::NSD));
    assert_eq!(twice.descriptors.unwrap().nsd.id.version, "1.0");
    assert_eq!((twice.diagnostics[0].code.as_str(), twice.diagnostics[0].line), ("duplicate-key", Some(6)));
    assert_eq!(codes("//- nsd.yaml\n---\nname: a\n---\nname: b\n"), ["several-documents"]);
    assert_eq!(codes("//- nsd.yaml\n# nothing\n"), ["empty-document"]);
    assert_eq!(codes("//- nsd.yaml\n- a\n- b\n"), ["wrong-type"]);
    assert_eq!(codes("//- nsd.yaml\nkey:\n\t- tab\n"), ["broken-yaml"]);
    assert_eq!(codes("//- nsd.yaml\na: &a [*a]\n"), ["broken-yaml"]);
}

/// Found by fuzzing: the other format's key kept the error away.
#[test]
fn a_package_without_an_nsd_is_an_error_whatever_else_its_manifest_has() {
    let napd = "name: x\nentry_service_template: nsd.yaml\n";
    assert_eq!(codes(&format!("//- TOSCA-Metadata/NAPD.yaml\n{napd}")), ["no-nsd"]);
}
