//! Deployment units in every spelling that real descriptors use.

use crate::common::{cdu, codes, files, findings, loaded, unit, vdu};
use llcm_descriptors::{ImageSource, LoadOptions, MemorySize, Severity, load};
use llcm_names::{Port, Protocol};

fn memory(text: &str) -> (Option<u64>, Vec<String>) {
    let (unit, codes) = vdu(&format!("resource_requirements:\n  memory: {text}"));
    (unit.and_then(|unit| unit.memory).map(|MemorySize(bytes)| bytes), codes)
}

#[test]
fn memory_in_every_unit() {
    for (text, bytes) in [
        ("{size: 1, size_unit: GB}", 1 << 30),
        ("{size: 512, size_unit: MB}", 512 << 20),
        ("{size: 2, size_unit: gB}", 2 << 30),
        ("{size: 12, size_unit: MiB}", 12 << 20),
        ("{size: 12, size_unit: Mi}", 12 << 20),
        ("{size: 1.5, size_unit: GB}", 1_610_612_736),
        // The originals' record of a published package.
        ("{size: 0.56, size_unit: GB}", 601_295_421),
        ("{size: '2', size_unit: kB}", 2048),
        ("{size: 100, size_unit: B}", 100),
        ("{size: 1, size_unit: TiB}", 1 << 40),
        ("{size: 3}", 3 << 30),
        ("{size: 3, size_unit: null}", 3 << 30),
    ] {
        assert_eq!(memory(text), (Some(bytes), vec![]), "{text}");
    }
    for text in ["{size: null, size_unit: GB}", "{size_unit: GB}", "{}", "null"] {
        assert_eq!(memory(text), (None, vec![]), "{text}");
    }
    for (text, code) in [
        ("{size: 1, size_unit: PiT}", "unknown-unit"),
        ("{size: 1, size_unit: ''}", "unknown-unit"),
        ("{size: -1}", "memory-out-of-range"),
        ("{size: 0}", "memory-out-of-range"),
        ("{size: 1e300}", "memory-out-of-range"),
        ("{size: .inf}", "wrong-type"),
        ("{size: much}", "wrong-type"),
        ("{size: [1]}", "wrong-type"),
        ("5", "wrong-type"),
    ] {
        assert_eq!(memory(text), (None, vec![code.to_owned()]), "{text}");
    }
}

#[test]
fn cpus_in_every_spelling() {
    let cpu = |text: &str| {
        let (unit, codes) = vdu(&format!("resource_requirements:\n  cpu: {text}"));
        (unit.map(|unit| (unit.cpu_list, unit.vcpus, unit.cpu_bandwidth)), codes)
    };
    let list = |text: &str| Some(text.to_owned());
    for (text, expected) in [
        ("{vcpus: 1}", (list("1"), Some(1.0), 1.0)),
        ("{vcpus: '5, 6'}", (list("5,6"), None, 1.0)),
        ("{vcpus: '14', cpu_bw: null}", (list("14"), Some(14.0), 1.0)),
        ("{vcpus: 2, cores: '0,1', cpu_bw: 0.07}", (list("0,1"), Some(2.0), 0.07)),
        ("{vcpus: 2, cpuset: 0-3, cores: 1}", (list("0-3"), Some(2.0), 1.0)),
        ("{vcpus: [0, 2]}", (list("0,2"), None, 1.0)),
        ("{vcpus: null}", (None, None, 1.0)),
        ("{cpu_support_accelerator: x}", (None, None, 1.0)),
    ] {
        assert_eq!(cpu(text), (Some(expected), vec![]), "{text}");
    }
    assert_eq!(cpu("{vcpus: 0.5}"), (Some((None, Some(0.5), 1.0)), vec!["fractional-vcpus".to_owned()]));
    for text in ["{vcpus: all}", "{vcpus: 3-1}", "{vcpus: '1,,2'}", "{vcpus: '+1'}", "{vcpus: 99999}"] {
        assert_eq!(cpu(text), (None, vec!["invalid-cpu-list".to_owned()]), "{text}");
    }
    for text in ["{cpu_bw: 0}", "{cpu_bw: -1}", "{cpu_bw: 1e9}"] {
        assert_eq!(cpu(text), (None, vec!["cpu-out-of-range".to_owned()]), "{text}");
    }
}

#[test]
fn ports_exposed_and_published() {
    let port = |number: u64| Port::try_from(number).unwrap();
    let (unit, codes) = cdu("connection_points:\n- {id: a, port: 1883, publish: {1883: 2883}}\n\
         - {id: b, ports: [139, 445, \"137/udp\", 1883, {id: x, port: 80}], publish: {139: 139, \"137/udp\": '137'}}\n");
    assert_eq!(codes, Vec::<String>::new());
    let unit = unit.unwrap();
    let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
    let exposed = [(1883, tcp), (139, tcp), (445, tcp), (137, udp), (80, tcp)];
    assert_eq!(unit.exposed, exposed.map(|(number, protocol)| (port(number), protocol)));
    let published = [(1883, tcp, 2883), (139, tcp, 139), (137, udp, 137)];
    assert_eq!(
        unit.published,
        published.map(|(inside, protocol, host)| (port(inside), protocol, port(host)))
    );
    for text in
        ["port: 0", "port: 65536", "port: http", "ports: [1/sctp]", "publish: {80: 0}", "publish: {x: 80}"]
    {
        let (_, codes) = cdu(&format!("connection_points:\n- {{id: a, {text}}}"));
        assert_eq!(codes, ["invalid-port"], "{text}");
    }
    assert_eq!(cdu("connection_points:\n- {id: a, publish: [80]}").1, ["wrong-type"]);
}

#[test]
fn addresses_and_interface_names() {
    let (unit, codes) = vdu(
        "connection_points:\n- {id: 'vdu01:eth0', address: 20.0.0.1/24, type: internal}\n- {id: data, ip: 30.0.0.254/24}\n\
         - {id: six, address: '2001:db8::1/64', mac: 'fa:11:22:33:44:55', type: {description: odd}}\n\
         - {id: template, address: '{{ data_address }}'}\n- {id: vnf_firewall_input}\n- null\n",
    );
    assert_eq!(codes, ["unreplaced-template"]);
    let interfaces = unit.unwrap().interfaces;
    let address = |index: usize| interfaces[index].address.map(|address| address.to_string());
    assert_eq!(interfaces[0].name.as_str(), "vdu01-eth0");
    assert_eq!((interfaces[0].kind.as_str(), interfaces[2].kind.as_str()), ("internal", ""));
    assert_eq!(address(0).as_deref(), Some("20.0.0.1/24"));
    assert_eq!(address(1).as_deref(), Some("30.0.0.254/24"));
    assert_eq!(address(2).as_deref(), Some("2001:db8::1/64"));
    assert_eq!(address(3), None);
    assert_eq!(interfaces[4].name.as_str().len(), 15);
    for address in
        ["10.0.0.1", "10.0.0.0/24", "10.0.0.255/24", "127.0.0.1/8", "224.0.0.1/4", "10.0.0.1/33", "host"]
    {
        let (_, codes) = vdu(&format!("connection_points:\n- {{id: a, address: {address}}}"));
        assert_eq!(codes, ["invalid-address"], "{address}");
    }
    assert_eq!(vdu("connection_points:\n- {id: a, mac: 'ff:ff:ff:ff:ff:ff'}").1, ["invalid-mac"]);
    assert_eq!(vdu("connection_points:\n- {id: a.b}\n- {id: a_b}").1, ["interface-name-clash"]);
    assert_eq!(vdu("connection_points:\n- {id: a}\n- {id: a}").1, ["duplicate-connection-point"]);
    assert_eq!(vdu("connection_points:\n- {type: internal}").1, ["missing-id"]);
}

#[test]
fn environment_and_scripts() {
    let (unit, codes) = cdu(
        "vm_cmd_start: None\nvm_cmd_stop: ' ./stop.sh '\nparameters:\n  env: {INTERVAL: 2, FLAG: true, V: 0.10, NONE: null}",
    );
    assert_eq!(codes, Vec::<String>::new());
    let unit = unit.unwrap();
    assert_eq!((unit.start_command, unit.stop_command.as_deref()), (None, Some("./stop.sh")));
    let environment: Vec<_> =
        unit.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(environment, [("FLAG", "true"), ("INTERVAL", "2"), ("V", "0.10")]);
    assert_eq!(cdu("parameters: {env: {'A=B': 1}}").1, ["invalid-environment"]);
    assert_eq!(cdu("parameters: {env: {A: [1]}}").1, ["wrong-type"]);
    assert_eq!(cdu("parameters: {env: {A: \"\\0\"}}").1, ["wrong-type"]);
}

#[test]
fn what_is_asked_of_the_host() {
    let (unit, codes) = vdu("ipc_mode: host\ndevices: /dev/net/tun\ncap_add: [cap_net_admin, SYS_NICE]");
    assert_eq!(codes, Vec::<String>::new());
    let unit = unit.unwrap();
    assert_eq!(unit.ipc_mode.as_deref(), Some("host"));
    assert_eq!(
        (unit.devices, unit.cap_add),
        (vec!["/dev/net/tun".to_owned()], vec!["NET_ADMIN".to_owned(), "SYS_NICE".to_owned()])
    );
    let (unit, codes) = vdu("ipc_mode: null\ndevices: []\ncap_add: null");
    assert_eq!(codes, Vec::<String>::new());
    assert_eq!(unit.unwrap().ipc_mode, None);
    for device in ["tun", "/dev/../etc", "/dev/x:/dev/y:rwx", "/dev/x:/dev/y:rw:z"] {
        assert_eq!(vdu(&format!("devices: ['{device}']")).1, ["invalid-device"], "{device}");
    }
    assert_eq!(vdu("cap_add: ['NET ADMIN']").1, ["invalid-capability"]);
}

#[test]
fn units_that_cannot_be_started_are_errors_with_their_place() {
    let vdu = |text: &str| unit("virtual_deployment_units", text).1;
    assert_eq!(vdu("id: a\nvm_image: x\nvm_image_format: qcow2"), ["unstartable-image-format"]);
    assert_eq!(vdu("id: a\nvm_image: x"), ["missing-image-format"]);
    assert_eq!(vdu("id: a\nvm_image_format: docker"), ["missing-image"]);
    assert_eq!(vdu("id: a\nvm_image: null\nvm_image_format: docker"), ["missing-image"]);
    assert_eq!(vdu("vm_image: x\nvm_image_format: docker"), ["missing-id"]);
    assert_eq!(vdu("id: ''\nvm_image: x\nvm_image_format: docker"), ["missing-id"]);
    assert_eq!(unit("cloudnative_deployment_units", "id: a").1, ["missing-image"]);
    assert_eq!(
        findings(
            "//- vnfd.yaml\nname: test-vnf\nvirtual_deployment_units:\n- id: a\n  vm_image: x.qcow2\n  vm_image_format: qcow2\n"
        ),
        "error[unstartable-image-format]: vnfd.yaml:5:20: virtual_deployment_units[0].vm_image_format: an image of \
         format `qcow2` cannot be started as a container (provide a container image and write `vm_image_format: docker`)"
    );
    assert_eq!(
        codes(
            "//- vnfd.yaml\nname: test-vnf\ncloudnative_deployment_units:\n- {id: a, image: x}\n- {id: a, image: y}\n"
        ),
        ["duplicate-unit"]
    );
}

#[test]
fn images_from_dockerfiles_need_the_setting() {
    let fixture = |image: &str| {
        files(&format!(
            "//- vnfd.yaml\nname: test-vnf\ncloudnative_deployment_units:\n- {{id: a, image: '{image}'}}\n\
             //- docker_files/iperf/Dockerfile\nFROM scratch\n"
        ))
    };
    let image = |reference: &str, build_images: bool| {
        let loaded = load(&fixture(reference), &LoadOptions { build_images });
        let image =
            loaded.descriptors.map(|descriptors| descriptors.vnfds["test-vnf"].units[0].image.clone());
        (image, loaded.diagnostics)
    };
    for reference in
        ["file:///docker_files/iperf/Dockerfile", "docker_files/iperf/Dockerfile", "docker_files/iperf"]
    {
        let (built, diagnostics) = image(reference, true);
        assert_eq!(built, Some(ImageSource::Dockerfile { path: "docker_files/iperf/Dockerfile".to_owned() }));
        assert_eq!(diagnostics, []);
        let (refused, diagnostics) = image(reference, false);
        assert_eq!(refused, None);
        assert!(diagnostics[0].hint.contains("build_images"), "{}", diagnostics[0]);
    }
    assert_eq!(image("file:///no/such/Dockerfile", true).1[0].code, "missing-file");
    assert_eq!(image("file:///../../etc/Dockerfile", true).1[0].code, "missing-file");
    let reference = |text: &str| Some(ImageSource::Reference { reference: text.to_owned() });
    assert_eq!(image("http://registry.example.org/a:b", false).0, reference("registry.example.org/a:b"));
    let (odd, diagnostics) = image("https://example.org/a", false);
    assert_eq!(
        (odd, diagnostics[0].code.as_str(), diagnostics[0].severity),
        (None, "invalid-image", Severity::Error)
    );
}

#[test]
fn ports_of_a_function_are_read_and_what_is_none_is_left_out_with_a_warning() {
    let text = "
connection_points:
- {id: a, port: 80}
- {id: b, ports: ['53/udp', {id: web, port: 443, target_port: 'vdu:web'}, http], publish: {80: 8080, 81: none}}
- {id: c, publish: [80]}
virtual_deployment_units:
- {id: vdu, vm_image: alpine, vm_image_format: docker}
";
    let head = "//- vnfd.yaml\nvendor: eu.test\nname: test-vnf\nversion: '0.9'";
    let loaded = loaded(&format!("{head}{text}"));
    let (descriptors, diagnostics) = (loaded.descriptors.unwrap(), loaded.diagnostics);
    let vnfd = &descriptors.vnfds["test-vnf"];
    let exposed: Vec<_> = vnfd.exposed.iter().map(|(port, protocol)| format!("{port}/{protocol}")).collect();
    assert_eq!(exposed, ["80/tcp", "53/udp", "443/tcp"]);
    let published: Vec<_> = vnfd.published.iter().map(|(from, _, to)| format!("{from}->{to}")).collect();
    assert_eq!(published, ["80->8080"]);
    assert!(vnfd.units[0].exposed.is_empty() && vnfd.units[0].published.is_empty());
    let found: Vec<_> =
        diagnostics.iter().map(|it| (it.severity, it.code.as_str(), it.path.as_str())).collect();
    let warning = |code, path| (Severity::Warning, code, path);
    let expected = [
        warning("invalid-port", "connection_points[1].ports[2]"),
        warning("invalid-port", "connection_points[1].publish.81"),
        warning("wrong-type", "connection_points[2].publish"),
    ];
    assert_eq!(found, expected);
}
