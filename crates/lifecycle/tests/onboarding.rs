//! On-boarding is all or nothing.

mod common;

use common::{Rig, push, push_bytes, run};
use llcm_descriptors::Severity;
use llcm_lifecycle::request::{Event, ServiceRef};
use llcm_lifecycle::{ErrorCode, Integrity, LifecycleError, Orchestrator, Settings};
use llcm_runtime::ErrorKind;
use llcm_runtime::simulated::{Fault, Operation, Script};
use llcm_testkit::{PackageBuilder, demo_chain, every_step};

/// On-boards what is to be refused, and checks that nothing of it is left.
async fn refuse(rig: &Rig, bytes: &[u8], code: ErrorCode) -> LifecycleError {
    let llcm = rig.open().await;
    let error = push_bytes(&llcm, bytes).await.expect_err("it is refused");
    assert_eq!(error.code, code, "{error} {:?}", error.diagnostics);
    nothing_is_left(rig, &llcm);
    // What it had reserved is free again.
    rig.world.set_script(Script::default());
    let service = push(&llcm, &demo_chain()).await;
    assert_eq!(run(&llcm, &service).await.links[0].subnet, "30.0.0.0/24");
    llcm.shutdown(true).await.expect("it ends");
    error
}

fn nothing_is_left(rig: &Rig, llcm: &Orchestrator) {
    assert_eq!(rig.list("packages"), [""; 0]);
    assert_eq!(rig.list("staging"), [""; 0]);
    assert!(llcm.services().is_empty());
}

#[tokio::test]
async fn a_package_becomes_a_service() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let mut events = llcm.events();
    let bytes = every_step().build();
    let service = push_bytes(&llcm, &bytes).await.unwrap();
    assert_eq!(service.package.id.name, "every-step");
    assert_eq!(service.nsd.to_string(), "eu.llcm.every-step-ns.1.0");
    assert_eq!(service.size, bytes.len() as u64);
    let functions: Vec<_> =
        service.functions.iter().map(|f| (f.vnfd.name.as_str(), f.vnf_ids.len())).collect();
    assert_eq!(functions, [("edge-vnf", 1), ("core-vnf", 1), ("leaf-vnf", 2)]);
    assert_eq!(llcm.service(service.id), Some(service.clone()));
    assert_eq!(rig.list("packages"), [service.id.to_string()]);
    assert_eq!(rig.list("staging"), [""; 0]);
    let fetched = rig.world.calls().into_iter().filter(|call| call.operation == Operation::EnsureImage);
    assert_eq!(fetched.count(), 1, "units with the same image share it");
    assert!(matches!(events.recv().await, Ok(Event::Image { .. })));

    llcm.remove_service(service.id).await.unwrap();
    nothing_is_left(&rig, &llcm);
    assert_eq!(llcm.resolve(&ServiceRef::Latest).unwrap_err().code, ErrorCode::NoService);
}

#[tokio::test]
async fn warnings_of_the_plan_come_with_the_service() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain().replace("forwarding_graphs: []\n", "")).await;
    let said = service.warnings.iter().any(|warning| warning.to_string().contains("forwarding_graphs"));
    assert!(said, "{:?}", service.warnings);
    assert_eq!(llcm.services()[0].warnings, service.warnings);
    assert!(run(&llcm, &service).await.links.is_empty());
}

#[tokio::test]
async fn the_newest_of_several_is_meant() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let first = push(&llcm, &demo_chain()).await;
    let second = push(&llcm, &demo_chain()).await;
    let other = push(&llcm, &every_step()).await;
    let meant = |text: &str| llcm.resolve(&ServiceRef::Given(text.to_owned())).map(|service| service.id);
    assert_eq!(meant("demo-chain").unwrap(), second.id);
    assert_eq!(meant(&first.id.to_string()).unwrap(), first.id);
    assert_eq!(llcm.resolve(&ServiceRef::Latest).unwrap().id, other.id);
    assert_eq!(meant("nothing").unwrap_err().code, ErrorCode::ServiceNotFound);
    let ids: Vec<_> = llcm.services().iter().map(|service| service.id).collect();
    assert_eq!(ids, [first.id, second.id, other.id]);
}

#[tokio::test]
async fn what_is_no_package_is_refused() {
    let good = demo_chain().build();
    for bytes in [b"".as_slice(), b"no zip at all, whatever its name says", &good[..good.len() / 2]] {
        refuse(&Rig::new(), bytes, ErrorCode::NotAPackage).await;
    }
    let mut rig = Rig::new();
    rig.settings.limits.compressed_bytes = 100;
    let llcm = rig.open().await;
    let error = push_bytes(&llcm, &good).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    nothing_is_left(&rig, &llcm);
}

#[tokio::test]
async fn all_findings_come_with_the_refusal() {
    let rig = Rig::new();
    let package = demo_chain()
        .replace("vnf_id: vnf1, vnf_vendor: eu.llcm, vnf_name: demo-vnf", "vnf_id: vnf1, vnf_name: nobody")
        .replace("vnf_id: vnf2, vnf_vendor: eu.llcm, vnf_name: demo-vnf", "vnf_id: vnf2, vnf_name: no-one");
    let error = refuse(&rig, &package.build(), ErrorCode::InvalidPackage).await;
    let errors = error.diagnostics.iter().filter(|finding| finding.severity == Severity::Error);
    assert!(errors.count() >= 2, "{:?}", error.diagnostics);
    assert!(error.message.contains("nobody") && error.message.contains("more error"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_not_what_the_manifest_says_is_refused_or_noted_or_not_looked_at() {
    let files = demo_chain().files();
    let changed: Vec<(String, Vec<u8>)> = files
        .into_iter()
        .map(|(path, mut bytes)| {
            if path.ends_with("demo-vnfd.yaml") {
                bytes.push(b'\n');
            }
            (path, bytes)
        })
        .collect();
    let bytes =
        llcm_testkit::package::zip(changed.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
    let error = refuse(&Rig::new(), &bytes, ErrorCode::InvalidPackage).await;
    assert!(error.message.contains("SHA-256"), "{error}");

    for (integrity, warnings) in [(Integrity::Warn, 1), (Integrity::Off, 0)] {
        let rig = Rig::with(Settings { integrity, ..Settings::default() });
        let llcm = rig.open().await;
        let service = push_bytes(&llcm, &bytes).await.unwrap();
        let noted = service.warnings.iter().filter(|warning| warning.code == "hash-mismatch").count();
        assert_eq!(noted, warnings, "{integrity:?}");
    }
}

#[tokio::test]
async fn images_that_cannot_be_had_are_named_with_their_units() {
    let rig = Rig::new();
    rig.world.set_script(Script { missing_images: vec!["llcm-test:*".to_owned()], ..Script::default() });
    let error = refuse(&rig, &every_step().build(), ErrorCode::ImageUnavailable).await;
    assert!(error.message.contains("edge.vdu01") && error.message.contains("llcm-test:latest"), "{error}");

    let rig = Rig::new();
    rig.world.add_fault(Fault::fail(Operation::EnsureImage).kind(ErrorKind::Unavailable));
    refuse(&rig, &every_step().build(), ErrorCode::EngineUnavailable).await;
}

#[tokio::test]
async fn what_can_never_be_planned_is_refused_at_once() {
    let rig = Rig::new();
    let package = every_step().replace("publish: {8080: 18080}", "publish: {8080: 15353, 5353: 18080}");
    let package = package.replace("{'5353/udp': 15353}", "{'5353/udp': 15353, 5353: 15353}");
    let error = refuse(&rig, &package.build(), ErrorCode::InvalidPackage).await;
    assert!(error.message.contains("15353"), "{error}");
}

#[tokio::test]
async fn dockerfiles_of_the_package_are_built_when_the_settings_allow() {
    let package = |image: &str| -> PackageBuilder {
        demo_chain().replace("llcm-test:latest", image).file("docker/fw/Dockerfile", "FROM scratch\n")
    };
    let image = "file://docker/fw/Dockerfile";
    let error = refuse(&Rig::new(), &package(image).build(), ErrorCode::InvalidPackage).await;
    assert!(error.diagnostics.iter().any(|finding| finding.to_string().contains("build_images")), "{error}");

    let rig = Rig::with(Settings { build_images: true, ..Settings::default() });
    let llcm = rig.open().await;
    let service = push(&llcm, &package(image)).await;
    let built: Vec<_> =
        rig.world.calls().into_iter().filter(|call| call.operation == Operation::BuildImage).collect();
    assert_eq!(built.len(), 3, "{built:?}");
    assert_eq!(run(&llcm, &service).await.containers[0].image, built[0].target);
}

#[tokio::test]
async fn a_service_with_instances_stays() {
    let rig = Rig::new();
    let llcm = rig.open().await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    assert_eq!(llcm.service(service.id).unwrap().instances, [instance.id]);
    let error = llcm.remove_service(service.id).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ServiceInUse);
    assert!(error.message.contains(&instance.id.to_string()), "{error}");
    common::down(&llcm, instance.id).await.unwrap();
    llcm.remove_service(service.id).await.unwrap();
    assert_eq!(llcm.remove_service(service.id).await.unwrap_err().code, ErrorCode::ServiceNotFound);
}
