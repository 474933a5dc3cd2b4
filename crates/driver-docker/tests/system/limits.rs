//! What a specification asks for really arrives.

use std::net::IpAddr;

use llcm_names::{Port, Protocol};
use llcm_runtime::{Bind, ContainerDriver, ContainerState, Device, ExposedPort, PortBinding};
use llcm_testkit::process;

use crate::bed::{BARE, Bed, docker, inspect, pid};
use crate::probe::answers;

fn port(number: u64) -> Port {
    Port::try_from(number).unwrap()
}

#[tokio::test]
async fn limits_arrive_in_the_control_groups() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("limits");
    spec.cpu.period_us = Some(1_000_000);
    spec.cpu.quota_us = Some(250_000);
    spec.cpu.cpuset = Some("0".to_owned());
    spec.memory_bytes = Some(96 << 20);
    bed.run(&spec).await;
    let seen = process::limits(pid(&spec.name));
    assert_eq!(seen.cpu, spec.cpu);
    assert_eq!(seen.memory_bytes, spec.memory_bytes);
    assert_eq!(inspect(&spec.name, ".HostConfig.CpuQuota"), "250000");
    assert_eq!(inspect(&spec.name, ".HostConfig.CpusetCpus"), "\"0\"");
}

#[tokio::test]
async fn ports_are_published_by_protocol_and_address() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("ports");
    let published = |container, protocol, host, host_ip: Option<&str>| PortBinding {
        container: port(container),
        protocol,
        host: port(host),
        host_ip: host_ip.map(|ip| ip.parse::<IpAddr>().unwrap()),
    };
    spec.exposed = vec![ExposedPort { port: port(139), protocol: Protocol::Tcp }];
    spec.published = vec![
        published(80, Protocol::Tcp, 21_080, None),
        published(137, Protocol::Udp, 21_137, Some("127.0.0.1")),
    ];
    bed.run(&spec).await;
    docker(&["exec", "--detach", spec.name.as_str(), "httpd", "-f", "-h", "/etc", "-p", "80"]);
    // The engine's proxy accepts before the container's server listens, and hangs up.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !answers(21_080).await {
        assert!(std::time::Instant::now() < end, "nobody answers at the published port");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let bindings = inspect(&spec.name, ".HostConfig.PortBindings");
    for binding in [
        r#""137/udp":[{"HostIp":"127.0.0.1","HostPort":"21137"}]"#,
        r#""80/tcp":[{"HostIp":"","HostPort":"21080"}]"#,
    ] {
        assert!(bindings.contains(binding), "{bindings}");
    }
    assert_eq!(inspect(&spec.name, ".Config.ExposedPorts"), r#"{"137/udp":{},"139/tcp":{},"80/tcp":{}}"#);
}

#[tokio::test]
async fn binds_devices_capabilities_and_names_arrive() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("rich");
    let made = bed.home.path().join("made/by/the engine");
    let file = bed.home.path().join("file");
    std::fs::write(&file, "from the host\n").unwrap();
    spec.binds = vec![
        Bind { host: made.clone(), container: "/mnt/share".into(), read_only: false },
        Bind { host: file, container: "/file".into(), read_only: true },
    ];
    spec.devices = vec![Device {
        host: "/dev/null".into(),
        container: "/dev/nothing".into(),
        permissions: "rw".to_owned(),
    }];
    spec.cap_add = vec!["NET_ADMIN".to_owned()];
    spec.ipc_mode = Some("shareable".to_owned());
    spec.logical_name = "rich.vdu01.0".to_owned();
    bed.run(&spec).await;
    let shell = |script: &str| docker(&["exec", spec.name.as_str(), "sh", "-c", script]);
    assert_eq!(shell("cat /file; echo x 2>/dev/null >/file || echo refused"), "from the host\nrefused\n");
    shell("touch /mnt/share/seen; echo x >/dev/nothing; ip link add br0 type bridge");
    assert!(made.join("seen").exists());
    assert_eq!(shell("cat /proc/sys/kernel/hostname"), "rich.vdu01.0\n");
    assert_eq!(process::environment(pid(&spec.name))["VNF_NAME"], "rich");
    assert_eq!(inspect(&spec.name, ".HostConfig.IpcMode"), "\"shareable\"");
    if bed.driver.info().await.unwrap().name == "docker" {
        let log = inspect(&spec.name, ".HostConfig.LogConfig.Config");
        assert_eq!(log, r#"{"max-file":"3","max-size":"10m"}"#);
    }
    let view = bed.driver.inspect(&spec.name).await.unwrap().unwrap();
    let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let address = docker(&["inspect", "--format", template, spec.name.as_str()]);
    assert_eq!(view.management_address.as_deref(), Some(address.trim()));
}

#[tokio::test]
async fn an_image_whose_command_is_a_shell_stays_up() {
    let Some(bed) = Bed::make().await else { return };
    let image = format!("llcm-driver-test:{}-shell", bed.owner.installation);
    bed.build(&image, &format!("FROM {BARE}\nCMD [\"/bin/sh\"]\n")).await;
    let mut spec = bed.spec("shell");
    spec.image = image.clone();
    bed.run(&spec).await;
    docker(&["exec", spec.name.as_str(), "true"]);
    let view = bed.driver.inspect(&spec.name).await.unwrap().unwrap();
    assert_eq!(view.state, ContainerState::Running);
}

#[tokio::test]
async fn the_engine_tells_what_it_has() {
    let Some(bed) = Bed::make().await else { return };
    let info = bed.driver.info().await.unwrap();
    let version = docker(&["version", "--format", "{{.Server.Version}}"]);
    assert_eq!(info.version, version.trim());
    assert!(!info.cpus.is_empty(), "{info:?}");
    assert!(info.memory_bytes > 64 << 20, "{info:?}");
    let bridge = docker(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]);
    assert!(info.networks.contains(&bridge.trim().to_owned()), "{info:?}");
}
