//! What cannot be done is refused with the right kind and with words that help, and leaves nothing behind.

use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_names::{Port, Protocol};
use llcm_runtime::{ContainerDriver, Device, ErrorKind, HeldPort, PortBinding, PullPolicy};

use crate::bed::{BARE, Bed, IMAGE, docker, ifname};

#[tokio::test]
async fn a_port_in_use_by_another_program_conflicts() {
    let Some(bed) = Bed::make().await else { return };
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let host = Port::try_from(u64::from(listener.local_addr().unwrap().port())).unwrap();
    let mut spec = bed.spec("port");
    let container = Port::try_from(80).unwrap();
    spec.published = vec![PortBinding { container, protocol: Protocol::Tcp, host, host_ip: None }];
    bed.driver.create(&spec).await.unwrap();
    let error = bed.driver.start(&spec.owner, &spec.name).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
    assert!(error.message.contains(&host.to_string()), "{error}");
    assert!(error.message.contains("publish another one"), "{error}");
    drop(listener);
    bed.driver.start(&spec.owner, &spec.name).await.unwrap();
}

#[tokio::test]
async fn what_others_hold_is_taken_and_what_is_ours_is_not() {
    let Some(bed) = Bed::make().await else { return };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = bed.spec("ours");
    bed.driver.create(&ours).await.unwrap();
    // One that runs and publishes, one that was only created.
    let foreign = format!("foreign.{}", bed.owner.installation);
    docker(&["run", "--detach", "--name", &foreign, "--publish", "127.0.0.1::80/udp", IMAGE]);
    let idle = format!("idle.{}", bed.owner.installation);
    docker(&["create", "--name", &idle, IMAGE]);
    let published = docker(&["port", &foreign, "80/udp"]);
    let published: std::net::SocketAddr = published.trim().parse().unwrap();

    let taken = bed.driver.taken(&bed.owner.installation).await;
    docker(&["rm", "--force", &foreign, &idle]);
    let taken = taken.unwrap();
    let has = |name: &str| taken.names.iter().any(|held| held.as_str() == name);
    assert_eq!((has(&foreign), has(&idle), has(ours.name.as_str())), (true, true, false), "{taken:?}");
    let held = |protocol, address: std::net::SocketAddr| HeldPort {
        protocol,
        port: Port::try_from(u64::from(address.port())).unwrap(),
        address: Some(address.ip()),
    };
    assert!(taken.ports.contains(&held(Protocol::Udp, published)), "{taken:?}");
    assert!(taken.ports.contains(&held(Protocol::Tcp, listener.local_addr().unwrap())), "{taken:?}");
    let after = bed.driver.taken(&bed.owner.installation).await.unwrap();
    assert!(!after.ports.contains(&held(Protocol::Udp, published)) && !after.names.contains(&ours.name));
}

#[tokio::test]
async fn a_missing_device_is_named() {
    let Some(bed) = Bed::make().await else { return };
    let mut spec = bed.spec("device");
    spec.devices = vec![Device {
        host: "/dev/no-such-device".into(),
        container: "/dev/x".into(),
        permissions: "rwm".to_owned(),
    }];
    // Docker finds out at the start, others before.
    let error = match bed.driver.create(&spec).await {
        Ok(_) => bed.driver.start(&spec.owner, &spec.name).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
    assert!(error.message.contains("/dev/no-such-device"), "{error}");
    bed.driver.remove(&spec.owner, &spec.name).await.unwrap();
    assert_eq!(bed.driver.list_owned(&spec.owner.installation).await.unwrap(), []);
}

#[tokio::test]
async fn limits_and_images_that_make_no_sense_are_invalid() {
    let Some(bed) = Bed::make().await else { return };
    if bed.driver.info().await.unwrap().name == "docker" {
        let mut memory = bed.spec("memory");
        memory.memory_bytes = Some(1024);
        let error = bed.driver.create(&memory).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.message.contains("emory limit"), "{error}");
    }
    let mut cpu = bed.spec("cpu");
    cpu.cpu.cpuset = Some("4095".to_owned());
    let mut image = bed.spec("image");
    image.image = "../containers/x".to_owned();
    let mut silent = bed.spec("silent");
    silent.image = BARE.to_owned();
    silent.interfaces = vec![ifname("in")];
    for (spec, word) in [(cpu, "CPUs"), (image, "no image reference"), (silent, "ommand")] {
        let error = bed.driver.create(&spec).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
        assert!(error.message.contains(word), "{error}");
    }
    assert_eq!(bed.driver.list_owned(&bed.owner.installation).await.unwrap(), []);
}

#[tokio::test]
async fn a_process_that_cannot_be_executed_fails_the_start() {
    let Some(bed) = Bed::make().await else { return };
    let image = format!("llcm-driver-test:{}-none", bed.owner.installation);
    bed.build(&image, &format!("FROM {BARE}\nCMD [\"/no/such/program\"]\n")).await;
    let mut spec = bed.spec("none");
    spec.image = image.clone();
    bed.driver.create(&spec).await.unwrap();
    let error = bed.driver.start(&spec.owner, &spec.name).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Failed, "{error}");
    assert!(error.message.contains("/no/such/program"), "{error}");
}

#[tokio::test]
async fn an_image_that_nobody_has_is_not_found_or_its_registry_not_reached() {
    let Some(bed) = Bed::make().await else { return };
    // Nobody listens there: the discard port of the loopback interface.
    let reference = "127.0.0.1:9/none:1";
    let error = bed.driver.ensure_image(reference, PullPolicy::Never, &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    let error = bed.driver.ensure_image(reference, PullPolicy::IfMissing, &()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(error.message.contains("the registry cannot be reached"), "{error}");
}

#[tokio::test]
async fn what_was_replaced_behind_our_back_is_found_again_or_left_alone() {
    let Some(bed) = Bed::make().await else { return };
    let spec = bed.spec("replaced");
    bed.run(&spec).await;
    // Somebody removes it and takes the name: the remembered id must not lead anywhere else.
    docker(&["rm", "--force", spec.name.as_str()]);
    docker(&["run", "--detach", "--name", spec.name.as_str(), &spec.image]);
    for result in [
        bed.driver.start(&spec.owner, &spec.name).await.map(drop),
        bed.driver.stop(&spec.owner, &spec.name, std::time::Duration::ZERO).await,
        bed.driver.remove(&spec.owner, &spec.name).await,
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
        assert!(error.message.contains("not of this program"), "{error}");
    }
    docker(&["rm", "--force", spec.name.as_str()]);
    // Ours again: the driver finds the new one.
    bed.run(&spec).await;
    docker(&["rm", "--force", spec.name.as_str()]);
    let error = bed.driver.start(&spec.owner, &spec.name).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    bed.driver.remove(&spec.owner, &spec.name).await.unwrap();
}

#[tokio::test]
async fn without_an_engine_the_error_says_so() {
    let home = tempfile::tempdir().unwrap();
    let connect = async |socket: &std::path::Path| {
        DockerContainers::connect(&DockerOptions::new(socket, home.path())).await.unwrap_err()
    };
    let absent = connect(&home.path().join("absent.sock")).await;
    assert_eq!(absent.kind, ErrorKind::Unavailable, "{absent}");
    assert!(absent.message.contains("is it running"), "{absent}");
    // A socket whose engine has gone.
    let path = home.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let left = connect(&path).await;
    assert_eq!(left.kind, ErrorKind::Unavailable, "{left}");
}
