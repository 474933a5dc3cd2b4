//! Requests to the engine as golden text.

use std::net::IpAddr;
use std::path::PathBuf;

use llcm_names::{ContainerName, DcName, IfName, InstallationId, Owner, Port, Protocol};
use llcm_runtime::{CpuLimit, Device, ExposedPort, PortBinding as Published};

use super::*;

/// A specification that says nothing but what has to be said.
pub(crate) fn bare_spec() -> ContainerSpec {
    let name = ContainerName::parse("vnf0.vdu01.0").unwrap();
    ContainerSpec {
        owner: Owner {
            installation: InstallationId::parse("00c0ffee").unwrap(),
            instance: "0123abcd-0000-4000-8000-000000000000".parse().unwrap(),
        },
        name: name.engine_name(),
        logical_name: name.to_string(),
        datacenter: DcName::parse("dc1").unwrap(),
        image: "ubuntu:trusty".to_owned(),
        environment: [("VNF_NAME".to_owned(), name.to_string())].into(),
        cpu: CpuLimit::default(),
        memory_bytes: None,
        exposed: Vec::new(),
        published: Vec::new(),
        binds: Vec::new(),
        devices: Vec::new(),
        cap_add: Vec::new(),
        ipc_mode: None,
        interfaces: Vec::new(),
        management: None,
    }
}

/// A specification that says all that can be said.
pub(crate) fn rich_spec() -> ContainerSpec {
    let port = |number: u64| Port::try_from(number).unwrap();
    let published = |container, protocol, host, host_ip: Option<&str>| Published {
        container: port(container),
        protocol,
        host: port(host),
        host_ip: host_ip.map(|ip| ip.parse::<IpAddr>().unwrap()),
    };
    let mut spec = bare_spec();
    spec.environment.insert("A".to_owned(), "1=2 3".to_owned());
    spec.cpu =
        CpuLimit { period_us: Some(1_000_000), quota_us: Some(250_000), cpuset: Some("0,1".to_owned()) };
    spec.memory_bytes = Some(128 << 20);
    spec.exposed = vec![
        ExposedPort { port: port(139), protocol: Protocol::Tcp },
        ExposedPort { port: port(137), protocol: Protocol::Udp },
    ];
    spec.published = vec![
        published(137, Protocol::Udp, 1137, None),
        published(80, Protocol::Tcp, 8080, Some("127.0.0.1")),
        published(80, Protocol::Tcp, 8081, Some("::1")),
    ];
    spec.binds = vec![
        Bind { host: "/srv/share".into(), container: "/mnt/share".into(), read_only: false },
        Bind { host: "/etc/hosts".into(), container: "/h".into(), read_only: true },
    ];
    spec.devices = vec![Device {
        host: PathBuf::from("/dev/net/tun"),
        container: PathBuf::from("/dev/tun"),
        permissions: "rwm".to_owned(),
    }];
    spec.cap_add = vec!["NET_ADMIN".to_owned()];
    spec.ipc_mode = Some("shareable".to_owned());
    spec.interfaces = vec![IfName::parse("mgmt").unwrap(), IfName::parse("vdu01-in").unwrap()];
    spec
}

/// The request as JSON with its keys in order: the engine's types keep some of them in hash maps. Without
/// the digest, which changes with every field that a specification may get.
fn golden(body: &ContainerCreateBody) -> serde_json::Value {
    fn sorted(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut pairs: Vec<_> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                pairs.sort_by(|left, right| left.0.cmp(&right.0));
                serde_json::Value::Object(pairs.into_iter().collect())
            }
            other => other,
        }
    }
    let mut value = sorted(serde_json::to_value(body).unwrap());
    assert_eq!(value["Labels"]["llcm.spec"].as_str().map(str::len), Some(64));
    value["Labels"]["llcm.spec"] = "(digest)".into();
    value
}

fn image(entrypoint: &[&str], command: &[&str]) -> ImageView {
    let words = |text: &[&str]| text.iter().map(|&word| word.to_owned()).collect();
    ImageView { entrypoint: words(entrypoint), command: words(command), ..ImageView::default() }
}

#[test]
fn a_container_that_asks_for_nothing_gets_nothing() {
    insta::assert_json_snapshot!("bare", golden(&create_body(&bare_spec(), None).unwrap()));
}

#[test]
fn everything_of_a_spec_reaches_the_engine() {
    let image = image(&["/entry.sh", "--x"], &["serve"]);
    let held = Held { image: &image, gate: "/var/lib/llcm/gate-00000000" };
    insta::assert_json_snapshot!("rich", golden(&create_body(&rich_spec(), Some(&held)).unwrap()));
}

#[test]
fn only_what_has_interfaces_and_a_command_is_held_back() {
    assert!(needs_gate(&rich_spec(), &image(&[], &["sh"])));
    assert!(needs_gate(&rich_spec(), &image(&["sh"], &[])));
    assert!(!needs_gate(&rich_spec(), &image(&[], &[])));
    assert!(!needs_gate(&bare_spec(), &image(&[], &["sh"])));
}

#[test]
fn what_has_no_form_in_the_request_is_refused() {
    let mut spec = bare_spec();
    spec.memory_bytes = Some(u64::MAX);
    let error = create_body(&spec, None).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "create container mn.vnf0.vdu01.0: the memory limit 18446744073709551615 is out of range"
    );
    for (host, container) in [("/a:b", "/c"), ("/a", "/c:d"), ("a", "/c"), ("/a", "c")] {
        let mut spec = bare_spec();
        spec.binds = vec![Bind { host: host.into(), container: container.into(), read_only: true }];
        assert_eq!(create_body(&spec, None).unwrap_err().kind, ErrorKind::Invalid, "{host}:{container}");
    }
}
