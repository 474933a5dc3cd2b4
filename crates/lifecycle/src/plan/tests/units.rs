//! Names, places, limits, ports, environment and privileges of containers.

use llcm_names::{EngineName, Port, Protocol};

use super::*;
use crate::settings::VcpuRule;

/// One function of one VDU with these further keys.
fn unit(keys: &str) -> Bench {
    let vnfd = format!(
        "virtual_deployment_units:\n- id: vdu01\n  vm_image: alpine\n  vm_image_format: docker\n{keys}"
    );
    Bench::new(package(&service(1, "  []\n"), &[("fw", &vnfd)]))
}

fn port(number: u16) -> Port {
    Port::try_from(u64::from(number)).unwrap()
}

#[test]
fn published_ports_move_with_the_instance_and_are_checked() {
    let mut bench = unit("  connection_points: [{id: a, port: 80, publish: {80: 8080, 81: 64000}}]\n");
    let plan = bench.plan();
    let shown: Vec<_> =
        plan.containers[0].spec.published.iter().map(|p| format!("{}->{}", p.container, p.host)).collect();
    assert_eq!(shown, ["80->8080", "81->64000"]);
    let exposed: Vec<_> = plan.containers[0].spec.exposed.iter().map(|p| p.port.get()).collect();
    assert_eq!(exposed, [80, 81], "what is published is listened on");
    assert_eq!(bench.build(2, 1).unwrap().containers[0].spec.published[0].host, port(9080));
    let findings = bench.build(2, 2).unwrap_err();
    assert_eq!(
        texts(&findings),
        ["error[port-overflow]: fw.yaml: virtual_deployment_units[0]: vnf0.vdu01.2 cannot publish 81/tcp: \
          host port 64000 + 1000 x 2 is beyond 65535 (publish another port, stop what holds it, or change \
          the setting `port_offset`)"]
    );
}

#[test]
fn a_host_port_is_taken_by_live_instances_by_the_host_and_by_the_plan_itself() {
    let mut bench = unit("  connection_points: [{id: a, publish: {80: 8080}}]\n");
    bench.plan();
    let taken = |protocol| BTreeMap::from([(protocol, [(port(8080), "a of instance b".to_owned())].into())]);
    bench.state.host_ports = taken(Protocol::Udp);
    assert!(bench.build(1, 0).is_ok(), "UDP is not TCP");
    bench.state.host_ports = taken(Protocol::Tcp);
    assert!(texts(&bench.build(1, 0).unwrap_err())[0].contains("8080/tcp is taken by a of instance b"));
    bench.state.host_ports.clear();
    bench.facts =
        Some(HostFacts { ports_in_use: set([(Protocol::Tcp, port(8080))]), ..HostFacts::default() });
    assert!(
        texts(&bench.build(1, 0).unwrap_err())[0]
            .contains("vnf0.vdu01.0 cannot publish 80/tcp: host port 8080/tcp is in use on this host")
    );
    bench.state.host_ports = taken(Protocol::Tcp);
    let both = texts(&bench.build(1, 0).unwrap_err());
    assert!(both.len() == 1 && both[0].contains("taken by a of instance b"), "{both:?}");

    let mut two = Bench::chain(2, "[{id: a, publish: {80: 8080}}]", "  []\n");
    let errors = two.errors();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].contains("vnf1.vdu01.0 cannot publish 80/tcp: host port 8080/tcp is taken by vnf0.vdu01.0")
    );
}

#[test]
fn a_name_that_a_container_of_others_holds_is_qualified() {
    let mut bench = Bench::chain(2, "[]", "  []\n");
    let names = |plan: &InstancePlan| -> Vec<String> {
        plan.containers.iter().map(|container| container.spec.name.to_string()).collect()
    };
    assert_eq!(names(&bench.plan()), ["mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0"]);
    let foreign = ["mn.vnf1.vdu01.0", "vnf0.vdu01.0"].map(|name| EngineName::parse(name).unwrap());
    bench.facts = Some(HostFacts { foreign_names: set(foreign), ..HostFacts::default() });
    let plan = bench.build(0x0123_abcd << 96, 0).unwrap();
    assert_eq!(names(&plan), ["mn.vnf0.vdu01.0", "mn.vnf1.vdu01.0.0123abcd"]);
    assert_eq!(plan.containers[1].name.as_str(), "vnf1.vdu01.0", "the logical name stays");
}

#[test]
fn cpus_that_the_host_does_not_have_are_left_out_with_a_warning() {
    let mut bench = unit("  resource_requirements: {cpu: {vcpus: '0,2-4', cpu_bw: 0.29}}\n");
    let facts = |cpus: &[u32]| Some(HostFacts { cpus: set(cpus.iter().copied()), ..HostFacts::default() });
    assert_eq!(bench.plan().containers[0].spec.cpu.cpuset.as_deref(), Some("0,2-4"), "offline all exist");
    bench.facts = facts(&[0, 1, 2]);
    let plan = bench.build(1, 0).unwrap();
    assert_eq!(plan.containers[0].spec.cpu.cpuset.as_deref(), Some("0,2"));
    assert_eq!(plan.containers[0].spec.cpu.quota_us, Some(290_000));
    assert!(plan.warnings[0].message.contains("the host has no CPU 3,4"), "{:?}", plan.warnings);
    bench.facts = facts(&[1]);
    let plan = bench.build(1, 0).unwrap();
    assert_eq!(plan.containers[0].spec.cpu.cpuset, None);
    bench.facts = facts(&[]);
    assert!(bench.build(1, 0).unwrap().warnings.is_empty(), "not known");
}

#[test]
fn vcpus_can_be_a_number_of_cpus() {
    let mut bench = unit("  resource_requirements: {cpu: {vcpus: 4, cpu_bw: 0.5}}\n");
    assert_eq!(bench.plan().containers[0].spec.cpu.cpuset.as_deref(), Some("4"));
    bench.settings.vcpus = VcpuRule::Count;
    let cpu = bench.build(1, 0).unwrap().containers[0].spec.cpu.clone();
    assert_eq!((cpu.cpuset, cpu.quota_us), (None, Some(2_000_000)));
    let mut list = unit("  resource_requirements: {cpu: {vcpus: '0,1'}}\n");
    list.settings.vcpus = VcpuRule::Count;
    assert_eq!(list.plan().containers[0].spec.cpu.cpuset.as_deref(), Some("0,1"), "a list stays a list");
}

#[test]
fn the_environment_file_is_above_all_else() {
    let mut bench = unit("  vm_cmd_start: ./start.sh\n  vm_cmd_stop: ./stop.sh\n");
    let file = [("SON_EMU_CMD", "./other.sh"), ("VNF_NAME", "me"), ("A", "1")];
    let plan = bench.plan();
    let spec = &plan.containers[0];
    assert_eq!(spec.spec.environment["VNF_NAME"], "vnf0.vdu01.0");
    assert_eq!(spec.start, Script::Given { command: "./start.sh".to_owned() });
    assert_eq!(spec.stop, Script::Given { command: "./stop.sh".to_owned() });
    let file = file.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    bench.env_files.insert("vnf0.vdu01.0".to_owned(), file);
    let plan = bench.build(1, 0).unwrap();
    assert_eq!(plan.containers[0].start, Script::Given { command: "./other.sh".to_owned() });
    assert_eq!(plan.containers[0].spec.environment["VNF_NAME"], "me");
    let other = bench.build(1, 1).unwrap();
    assert_eq!(other.containers[0].start, Script::Given { command: "./start.sh".to_owned() });
    assert!(!other.containers[0].spec.environment.contains_key("A"), "the file of another instance");

    let mut image = unit("");
    let keys = ["SON_EMU_CMD", "VIM_EMU_CMD"].map(str::to_owned).to_vec();
    assert_eq!(image.plan().containers[0].start, Script::FromImage { keys });
}

#[test]
fn environment_files_are_maps_of_scalars() {
    let read = |text: &str| parse_env_file("x.env.yml", text.as_bytes()).map_err(Box::new);
    let variables = read("---\nA: \"keys.json\"\nB: 30.0.0.253/24\nC: 1.10\nD:\nE: true\n").unwrap();
    let pairs: Vec<_> = variables.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(pairs, ["A=keys.json", "B=30.0.0.253/24", "C=1.10", "D=", "E=true"]);
    assert!(read("").unwrap().is_empty());
    for bad in ["- A", "A: [1]", "A: {b: c}", "A=B: 1", "A: \"\\0\"", "A: b: c"] {
        assert_eq!(read(bad).unwrap_err().code, "bad-env-file", "{bad}");
    }
    assert!(parse_env_file("x", b"\xff").is_err());
}

#[test]
fn what_the_policy_refuses_is_named_with_the_setting_that_allows_it() {
    let keys = "  cap_add: [CAP_SYS_ADMIN, net_admin]\n  devices: [/dev/sda, /dev/null]\n  ipc_mode: host\n";
    let mut bench = unit(keys);
    let errors = bench.errors();
    assert_eq!(
        errors,
        [
            "error[device-refused]: fw.yaml: virtual_deployment_units[0].devices: vnf0.vdu01 asks for the \
             device /dev/sda, which is refused (allow it with the setting `allowed_devices`)",
            "error[capability-refused]: fw.yaml: virtual_deployment_units[0].cap_add: vnf0.vdu01 asks for the \
             capability SYS_ADMIN, which is refused (allow it with the setting `allowed_capabilities`)",
            "error[ipc-mode-refused]: fw.yaml: virtual_deployment_units[0].ipc_mode: vnf0.vdu01 asks for the \
             IPC mode host, which is refused (allow it with the setting `allowed_ipc_modes`)",
        ]
    );
    bench.settings.policy.capabilities.insert("SYS_ADMIN".to_owned());
    bench.settings.policy.devices.insert("/dev/sda".into());
    bench.settings.policy.ipc_modes.insert("host".to_owned());
    let plan = bench.build(1, 0).unwrap();
    let spec = &plan.containers[0].spec;
    assert_eq!(spec.cap_add, ["SYS_ADMIN", "NET_ADMIN"]);
    assert_eq!(spec.devices.len(), 2);
    assert_eq!(spec.ipc_mode.as_deref(), Some("host"));
}

#[test]
fn dockerfiles_are_built_when_that_is_allowed() {
    let mut bench = unit("");
    let image = llcm_descriptors::ImageSource::Dockerfile { path: "fw/Dockerfile".to_owned() };
    bench.descriptors.vnfds.get_mut("fw").unwrap().units[0].image = image;
    let findings = images(&bench.descriptors, &bench.settings).unwrap_err();
    assert!(findings[0].hint.contains("`build_images`"));
    assert!(bench.errors()[0].contains("is built from fw/Dockerfile"));
    bench.settings.build_images = true;
    let needs = images(&bench.descriptors, &bench.settings).unwrap();
    assert_eq!(needs[0].reference, "vnf0.vdu01");
    assert_eq!(needs[0].dockerfile.as_deref(), Some("fw/Dockerfile"));
    assert_eq!(bench.build(1, 0).unwrap().containers[0].spec.image, "vnf0.vdu01");
}

#[test]
fn built_images_have_valid_names_and_one_name_means_one_image() {
    let mut bench = Bench::chain(2, "[]", "  []\n");
    bench.settings.build_images = true;
    bench.descriptors.nsd.functions[0].vnf_id = "VNF_Zero".to_owned();
    let image = |path: &str| llcm_descriptors::ImageSource::Dockerfile { path: path.to_owned() };
    bench.descriptors.vnfds.get_mut("fw").unwrap().units[0].image = image("fw/Dockerfile");
    let plan = bench.plan();
    assert_eq!(plan.containers[0].spec.image, "vnf_zero.vdu01", "engines refuse upper case");
    let need = image_of(&bench.descriptors, "VNF_Zero", "vdu01").unwrap();
    assert_eq!(need, images(&bench.descriptors, &bench.settings).unwrap()[0]);
    assert_eq!(image_of(&bench.descriptors, "VNF_Zero", "vdu02"), None);

    // Two functions whose ids differ in case only, of different descriptors.
    let mut other = bench.descriptors.vnfds["fw"].clone();
    other.id.name = "other".to_owned();
    bench.descriptors.vnfds.insert("other".to_owned(), other);
    bench.descriptors.nsd.functions[1].vnf_id = "vnf_zero".to_owned();
    bench.descriptors.nsd.functions[1].vnf_name = "other".to_owned();
    assert!(images(&bench.descriptors, &bench.settings).is_ok(), "the same Dockerfile");
    bench.descriptors.vnfds.get_mut("other").unwrap().units[0].image = image("other/Dockerfile");
    let findings = images(&bench.descriptors, &bench.settings).unwrap_err();
    assert!(texts(&findings)[0].contains("VNF_Zero.vdu01 and vnf_zero.vdu01 are different"), "{findings:?}");
}

#[test]
fn names_that_clash_or_cannot_be_are_errors() {
    let mut bench = Bench::chain(2, "[]", "  []\n");
    bench.descriptors.nsd.functions[1].vnf_id = "vnf0".to_owned();
    assert!(bench.errors()[0].contains("would both be called vnf0.vdu01.0"));
    let mut bench = Bench::chain(1, "[]", "  []\n");
    bench.descriptors.nsd.functions[0].vnf_id = "-".to_owned();
    assert!(bench.errors()[0].contains("bad-container-name"));
    bench.descriptors.nsd.functions[0].vnf_name = "other".to_owned();
    assert!(bench.errors()[0].contains("unknown-vnfd"));
}

#[test]
fn the_placement_follows_the_settings_and_its_warnings_are_shown() {
    let mut bench = Bench::chain(3, "[]", "  []\n");
    let sites = |plan: &InstancePlan| -> Vec<String> {
        plan.containers.iter().map(|container| container.datacenter().to_string()).collect()
    };
    assert_eq!(sites(&bench.plan()), ["dc1", "dc2", "dc1"]);
    bench.settings.placement.algorithm = "static".to_owned();
    bench.settings.placement.fixed.insert("vnf0.vdu01.0".to_owned(), "dc2".to_owned());
    let plan = bench.build(1, 0).unwrap();
    assert_eq!(sites(&plan), ["dc2", "dc1", "dc1"]);
    assert_eq!(plan.warnings.len(), 2);
    bench.settings.placement.algorithm = "best".to_owned();
    assert!(texts(&bench.build(1, 0).unwrap_err())[0].contains(
        "expected one of first, round-robin, round-robin-with-saps, static, least-loaded, latency"
    ));
}

#[test]
fn the_ports_of_a_function_are_its_containers_in_sonata_and_nobodys_in_tango() {
    let vnfd = "
connection_points:
- {id: in, port: 80}
- {id: out, ports: [53, '53/udp'], publish: {80: 8080}}
virtual_deployment_units:
- {id: a, vm_image: i, vm_image_format: docker, connection_points: [{id: x, port: 22, publish: {80: 8080}}]}
- {id: b, vm_image: i, vm_image_format: docker}
";
    let seen = |dialect| {
        let mut bench = Bench::new(package(&service(1, "  []\n"), &[("fw", vnfd)]));
        bench.dialect = dialect;
        let plan = bench.plan();
        let codes: Vec<_> = plan.warnings.iter().map(|warning| warning.code.clone()).collect();
        let containers: Vec<_> = plan
            .containers
            .iter()
            .map(|container| {
                let ports =
                    container.spec.exposed.iter().map(|port| format!("{}/{}", port.port, port.protocol));
                let published =
                    container.spec.published.iter().map(|it| format!("{}->{}", it.container, it.host));
                format!(
                    "{}: {} {}",
                    container.name,
                    ports.collect::<Vec<_>>().join(" "),
                    published.collect::<String>()
                )
            })
            .collect();
        (containers, codes)
    };
    let (containers, codes) = seen(Dialect::Sonata);
    // What two units would publish is the first one's.
    let expected = ["vnf0: 80/tcp 53/tcp 53/udp 22/tcp 80->8080", "vnf0.b: 80/tcp 53/tcp 53/udp "];
    assert_eq!((containers, codes), (expected.map(str::to_owned).to_vec(), Vec::new()));
    let (containers, codes) = seen(Dialect::Tango);
    let expected = ["vnf0.a.0: 22/tcp 80/tcp 80->8080", "vnf0.b.0:  "];
    assert_eq!(containers, expected, "the original looked at units only");
    assert_eq!(codes, ["publish-of-function"]);
}
