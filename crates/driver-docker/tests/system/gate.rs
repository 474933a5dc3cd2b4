//! The VNF's own process runs when its interfaces are there, and not before.

use std::process::Command;
use std::time::{Duration, Instant};

use llcm_names::EngineName;
use llcm_runtime::{ContainerDriver, ContainerState};

use crate::bed::{BARE, Bed, docker, eventually, fresh_owner, ifname, inspect, pid};

/// Runs `ip` in a container's network namespace.
fn ip(name: &EngineName, arguments: &[&str]) {
    let namespace = format!("--net=/proc/{}/ns/net", pid(name));
    let output = Command::new("nsenter").arg(namespace).arg("ip").args(arguments).output().unwrap();
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn plug(name: &EngineName, interface: &str) {
    ip(name, &["link", "add", interface, "type", "veth", "peer", "name", &format!("p-{interface}")]);
}

fn output(name: &EngineName) -> String {
    docker(&["logs", name.as_str()])
}

/// What its first process is now.
fn program(name: &EngineName) -> String {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid(name))).unwrap();
    String::from_utf8_lossy(line.split(|&byte| byte == 0).next().unwrap()).into_owned()
}

async fn waits(name: &EngineName) {
    eventually("the gate", || program(name) == "/.llcm-gate").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(program(name), "/.llcm-gate", "it went through: {}", output(name));
    assert_eq!(output(name), "");
}

async fn passes(name: &EngineName) {
    eventually("the image's own process", || output(name).contains("ready")).await;
    assert_eq!(program(name), "/bin/sh");
}

#[tokio::test]
async fn the_process_waits_for_all_its_interfaces_again_after_a_restart() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("held");
    spec.interfaces = vec![ifname("in"), ifname("out")];
    let point = bed.run(&spec).await;
    assert_eq!(point.netns.unwrap().display().to_string(), format!("/proc/{}/ns/net", pid(&spec.name)));
    waits(&spec.name).await;
    plug(&spec.name, "in");
    ip(&spec.name, &["link", "set", "in", "up"]);
    plug(&spec.name, "out");
    waits(&spec.name).await;
    ip(&spec.name, &["link", "set", "out", "up"]);
    passes(&spec.name).await;
    // Users still see what the image says.
    assert_eq!(inspect(&spec.name, ".Config.Entrypoint"), r#"["/.llcm-gate","--interfaces=in/out","--"]"#);
    assert!(inspect(&spec.name, ".Config.Cmd").contains("echo ready"));

    docker(&["restart", "--time", "1", spec.name.as_str()]);
    eventually("the gate", || program(&spec.name) == "/.llcm-gate").await;
}

#[tokio::test]
async fn a_vnf_with_an_eth0_waits_until_the_engines_is_moved_aside() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("eth0");
    spec.interfaces = vec![ifname("eth0")];
    bed.run(&spec).await;
    waits(&spec.name).await;
    ip(&spec.name, &["link", "set", "eth0", "down"]);
    ip(&spec.name, &["link", "set", "eth0", "name", "mgmt0"]);
    ip(&spec.name, &["link", "set", "mgmt0", "up"]);
    waits(&spec.name).await;
    plug(&spec.name, "eth0");
    ip(&spec.name, &["link", "set", "eth0", "up"]);
    passes(&spec.name).await;
}

#[tokio::test]
async fn without_interfaces_nothing_is_held_back() {
    let Some(bed) = Bed::make().await else { return };
    let spec = bed.spec("free");
    bed.run(&spec).await;
    passes(&spec.name).await;
    assert!(!inspect(&spec.name, ".Config.Entrypoint").contains("gate"));
    assert!(!inspect(&spec.name, ".Mounts").contains("gate"));
}

#[tokio::test]
async fn who_waits_at_the_gate_is_stopped_at_once() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("stopped");
    spec.interfaces = vec![ifname("never")];
    bed.run(&spec).await;
    waits(&spec.name).await;
    let began = Instant::now();
    bed.driver.stop(&spec.owner, &spec.name, Duration::from_secs(30)).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    let view = bed.driver.inspect(&spec.name).await.unwrap().unwrap();
    assert!(matches!(view.state, ContainerState::Exited { .. }), "{view:?}");
}

#[tokio::test]
async fn a_gate_that_was_cleaned_up_is_put_back() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("again");
    spec.interfaces = vec![ifname("in")];
    bed.driver.create(&spec).await.unwrap();
    let is_gate = |name: &str| name.starts_with("gate-");
    let gates = || {
        bed.home
            .path()
            .read_dir()
            .unwrap()
            .flatten()
            .filter(|it| it.file_name().to_str().is_some_and(is_gate))
            .count()
    };
    assert_eq!(gates(), 1);
    bed.driver.cleanup(&spec.owner.installation).await.unwrap();
    assert_eq!(gates(), 0);
    bed.driver.start(&spec.owner, &spec.name).await.unwrap();
    waits(&spec.name).await;
}

/// Installations that share a helper directory: one that is cleaned up after takes nothing from the others.
#[tokio::test]
async fn a_container_starts_again_after_another_installation_was_cleaned_up_after() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("spared");
    spec.interfaces = vec![ifname("in")];
    bed.run(&spec).await;
    waits(&spec.name).await;
    bed.driver.cleanup(&fresh_owner().installation).await.unwrap();
    // Not by the driver, which would put back what is missing.
    docker(&["restart", "--time", "0", spec.name.as_str()]);
    waits(&spec.name).await;
}

/// An entrypoint with arguments, a working directory, a user without rights, a PATH of its own.
#[tokio::test]
async fn the_images_own_words_are_kept() {
    let Some(bed) = Bed::make().await else { return };
    let image = format!("llcm-driver-test:{}-odd", bed.owner.installation);
    let script = "echo $0 $1 $2; id -u; pwd; echo ready; exec sleep 1000";
    bed.build(
        &image,
        &format!(
            "FROM {BARE}\nENV PATH=/odd:/bin SON_EMU_CMD=./start.sh\nWORKDIR /odd\n\
             COPY Dockerfile /odd/file\nUSER nobody\n\
             ENTRYPOINT [\"sh\", \"-c\", \"{script}\", \"a b\"]\nCMD [\"c\", \"--\"]\n"
        ),
    )
    .await;
    let mut spec = bed.spec("odd");
    spec.image = image.clone();
    spec.interfaces = vec![ifname("in")];
    bed.run(&spec).await;
    waits(&spec.name).await;
    plug(&spec.name, "in");
    ip(&spec.name, &["link", "set", "in", "up"]);
    eventually("the image's own process", || output(&spec.name).contains("ready")).await;
    assert_eq!(output(&spec.name).replace('\r', ""), "a b c --\n65534\n/odd\nready\n");
    assert_eq!(llcm_testkit::process::environment(pid(&spec.name))["SON_EMU_CMD"], "./start.sh");
    assert_eq!(llcm_testkit::process::environment(pid(&spec.name))["PATH"], "/odd:/bin");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_by_exit_code_and_output() {
    let Some(bed) = Bed::make().await else { return };
    let image = format!("llcm-driver-test:{}-lost", bed.owner.installation);
    bed.build(&image, &format!("FROM {BARE}\nCMD [\"no-such-program\"]\n")).await;
    let mut spec = bed.spec("lost");
    spec.image = image.clone();
    spec.interfaces = vec![ifname("in")];
    bed.run(&spec).await;
    plug(&spec.name, "in");
    ip(&spec.name, &["link", "set", "in", "up"]);
    eventually("the end", || inspect(&spec.name, ".State.Running") == "false").await;
    let view = bed.driver.inspect(&spec.name).await.unwrap().unwrap();
    assert_eq!(view.state, ContainerState::Exited { code: Some(127) });
    assert!(output(&spec.name).starts_with("no-such-program: "), "{}", output(&spec.name));
}
