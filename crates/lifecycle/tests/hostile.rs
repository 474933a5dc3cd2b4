//! What a package asks of the host and may not have: refused when it is uploaded, with the place and the setting.

mod common;

use common::{Rig, push_bytes};
use llcm_descriptors::{Diagnostic, Severity};
use llcm_lifecycle::plan::InstanceDocument;
use llcm_lifecycle::{Dialect, ErrorCode, Orchestrator, Settings};
use llcm_names::InstanceId;
use llcm_testkit::{PackageBuilder, demo_chain};

const IMAGE: &str = "  vm_image: 'llcm-test:latest'\n";

/// A package with further lines in its deployment unit, or with another image.
fn with(lines: &str) -> PackageBuilder {
    demo_chain().replace(IMAGE, &format!("{IMAGE}{lines}"))
}

/// The findings of a package that is to be refused, of which nothing is to be left.
async fn refused(package: &PackageBuilder, settings: Settings, dialect: Dialect) -> Vec<Diagnostic> {
    let rig = Rig::with(settings);
    let llcm = rig.open().await;
    let error =
        llcm.onboard(common::upload(&llcm, &package.build()), dialect).await.expect_err("it is refused");
    assert!(matches!(error.code, ErrorCode::InvalidPackage | ErrorCode::CannotPlan), "{error}");
    assert_eq!((rig.list("packages"), rig.list("staging")), (Vec::new(), Vec::new()));
    assert!(rig.world.is_empty() && llcm.services().is_empty());
    error.diagnostics
}

/// What is mounted into the containers of an instance, as its plan says.
fn volumes(llcm: &Orchestrator, instance: InstanceId) -> Vec<String> {
    let plan = llcm.instance_plan(instance).expect("it has a plan");
    let plan: InstanceDocument = serde_json::from_value(plan).expect("the plan is the public document");
    plan.containers.into_iter().flat_map(|container| container.volumes).collect()
}

fn said(findings: &[Diagnostic], code: &str) -> String {
    let found = findings.iter().find(|finding| finding.code == code && finding.severity == Severity::Error);
    found.unwrap_or_else(|| panic!("no {code} in {findings:#?}")).to_string()
}

#[tokio::test]
async fn what_the_host_policy_does_not_allow_is_refused_at_the_upload() {
    for (lines, code, setting) in [
        ("  ipc_mode: host\n", "ipc-mode-refused", "allowed_ipc_modes"),
        ("  ipc_mode: 'container:somebody-elses'\n", "ipc-mode-refused", "allowed_ipc_modes"),
        ("  ipc_mode: 'service:vnf1'\n", "ipc-mode-refused", "allowed_ipc_modes"),
        ("  ipc_mode: ' host'\n", "ipc-mode-refused", "allowed_ipc_modes"),
        ("  cap_add: [SYS_ADMIN]\n", "capability-refused", "allowed_capabilities"),
        ("  cap_add: [ALL]\n", "capability-refused", "allowed_capabilities"),
        ("  devices: [/dev/sda]\n", "device-refused", "allowed_devices"),
        ("  devices: ['/dev/mem:/dev/null:r']\n", "device-refused", "allowed_devices"),
        ("  devices: ['/dev/null/../mem']\n", "invalid-device", ""),
        ("  devices: ['/:/host']\n", "invalid-device", ""),
        ("  devices: ['/etc/shadow']\n", "device-refused", "allowed_devices"),
    ] {
        for dialect in [Dialect::Tango, Dialect::Sonata] {
            let findings = refused(&with(lines), Settings::default(), dialect).await;
            let text = said(&findings, code);
            assert!(text.contains(setting) && text.contains("demo-vnfd.yaml"), "{lines}: {text}");
        }
    }
}

#[tokio::test]
async fn host_directories_cannot_be_asked_for_by_any_key() {
    let lines = "  volumes: ['/etc:/host', '/:/root:rw']\n  binds: ['/:/host']\n  mounts: [{source: /, target: /host}]\n  \
                 privileged: true\n  network_mode: host\n  pid_mode: host\n  security_opt: ['seccomp=unconfined']\n";
    for dialect in [Dialect::Tango, Dialect::Sonata] {
        let rig = Rig::new();
        let llcm = rig.open().await;
        let service = llcm.onboard(common::upload(&llcm, &with(lines).build()), dialect).await.unwrap();
        let instance = common::run(&llcm, &service).await;
        let results = rig.dir.path().join("results").join(service.id.to_string());
        for volume in volumes(&llcm, instance.id) {
            {
                assert!(
                    dialect == Dialect::Sonata && volume.starts_with(results.to_str().unwrap()),
                    "{volume}"
                );
            }
        }
        llcm.shutdown(true).await.unwrap();
    }
}

#[tokio::test]
async fn names_of_a_package_do_not_lead_out_of_the_directory_for_results() {
    for name in ["../../etc", "..", "/etc", "a/../../b", "a\\u0000b", "a:/b"] {
        let package = demo_chain().replace("vnf_id: vnf0,", &format!("vnf_id: \"{name}\","));
        let package =
            package.replace("'vnf0:mgmt', ", "").replace("[input, 'vnf0:input']", "[input, 'vnf1:input']");
        let package = package.replace("['vnf0:output', 'vnf1:input']", "['vnf1:output', 'vnf2:input']");
        let rig = Rig::new();
        let llcm = rig.open().await;
        let uploaded = llcm.onboard(common::upload(&llcm, &package.build()), Dialect::Sonata).await;
        let Ok(service) = uploaded else { continue };
        let instance = common::run(&llcm, &service).await;
        let results = rig.dir.path().join("results").join(service.id.to_string());
        for volume in volumes(&llcm, instance.id) {
            let rest =
                volume.strip_prefix(results.to_str().unwrap()).unwrap_or_else(|| panic!("{name}: {volume}"));
            let directory = rest.split(':').next().unwrap();
            assert!(directory.starts_with('/') && !directory[1..].contains('/'), "{name}: {volume}");
            assert!(!matches!(&directory[1..], "" | "." | ".."), "{name}: {volume}");
        }
    }
}

#[tokio::test]
async fn odd_image_references_are_refused_with_their_place() {
    let long = "x".repeat(300);
    let long_tag = format!("a:{}", "t".repeat(129));
    for image in [
        "-flag",
        "--privileged",
        "a b",
        " ",
        "../x",
        "a/../b",
        "/etc/passwd",
        "a\\nb",
        "a\\u0000b",
        "a\\u001b[31m",
        "a\\tb",
        "A:b",
        "a;b",
        "a$(b)",
        "a`b`",
        "a|b",
        "a@sha256:0",
        "ssh://a/b",
        &long,
        &long_tag,
    ] {
        let package = demo_chain().replace(IMAGE, &format!("  vm_image: \"{image}\"\n"));
        let findings = refused(&package, Settings::default(), Dialect::Tango).await;
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(!errors.is_empty(), "{image}");
        let error = errors[0];
        assert!(error.path.contains("virtual_deployment_units[0]"), "{image}: {error}");
        // What is shown of it does nothing to a terminal.
        assert!(
            !error.message.contains(char::is_control) && error.message.len() < 1000,
            "{image}: {error:?}"
        );
    }
}

#[tokio::test]
async fn dockerfiles_outside_of_the_package_are_none() {
    for file in [
        "file:///../../etc/Dockerfile",
        "file:///etc/passwd",
        "file://../Dockerfile",
        "file:///a/../../Dockerfile",
    ] {
        let package = demo_chain().replace(IMAGE, &format!("  vm_image: \"{file}\"\n"));
        let settings = Settings { build_images: true, ..Settings::default() };
        let findings = refused(&package, settings, Dialect::Tango).await;
        assert!(findings.iter().any(|finding| finding.severity == Severity::Error), "{file}: {findings:?}");
    }
}

#[tokio::test]
async fn what_is_allowed_is_passed_on() {
    let mut settings = Settings::default();
    settings.policy.ipc_modes.insert("host".to_owned());
    let rig = Rig::with(settings);
    let llcm = rig.open().await;
    push_bytes(&llcm, &with("  ipc_mode: host\n  cap_add: [NET_ADMIN]\n").build()).await.unwrap();
}
