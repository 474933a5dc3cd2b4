//! Images where there are two container engines: who has them, who builds them, whose environment counts.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::two::{OTHER, backend, calls_of, dc, engine, engines_called, in_turns, open_quick};
use common::{Rig, down, push, run, up, upload};
use llcm_descriptors::Diagnostic;
use llcm_lifecycle::catalog::ServiceRecord;
use llcm_lifecycle::journal::Record;
use llcm_lifecycle::request::ServiceView;
use llcm_lifecycle::store::Store;
use llcm_lifecycle::store::memory::MemoryStore;
use llcm_lifecycle::{Dialect, ErrorCode, LifecycleError, Orchestrator, PlacementSettings, Settings};
use llcm_runtime::simulated::{Fault, Operation, Script};
use llcm_runtime::{ErrorKind, ImageView};
use llcm_testkit::{PackageBuilder, TEST_IMAGE, demo_chain};

fn image(id: &str, start: &str) -> ImageView {
    let environment = BTreeMap::from([("VIM_EMU_CMD".to_owned(), start.to_owned())]);
    ImageView { id: id.to_owned(), environment, ..ImageView::default() }
}

/// Images that an engine does not have are nowhere.
fn no_registry(rig: &Rig) {
    rig.world.set_script(Script { missing_images: vec!["*".to_owned()], ..Script::default() });
}

async fn refuse(llcm: &Arc<Orchestrator>, package: &PackageBuilder) -> LifecycleError {
    let refused = llcm.onboard(upload(llcm, &package.build()), Dialect::Tango).await;
    refused.expect_err("it cannot be had")
}

/// Those about images.
fn warnings(service: &ServiceView) -> Vec<&Diagnostic> {
    service.warnings.iter().filter(|warning| warning.code == "image-not-in-every-engine").collect()
}

/// Three images that are built.
fn built() -> PackageBuilder {
    let image = "file://docker/fw/Dockerfile";
    demo_chain().replace("llcm-test:latest", image).file("docker/fw/Dockerfile", "FROM scratch\n")
}

/// Builds images; vnf1 is in dc2, the others in dc1.
fn builds() -> Rig {
    let placement = in_turns(&["vnf0.vdu01", "vnf1.vdu01", "vnf2.vdu01"]);
    Rig::with(Settings { build_images: true, placement, ..Settings::default() })
}

#[tokio::test]
async fn an_image_that_one_engine_has_is_enough_until_the_other_is_to_run_it() {
    let rig = Rig::new();
    no_registry(&rig);
    rig.world.add_image(TEST_IMAGE, image("sha256:a", "./a.sh"));
    let llcm = open_quick(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    let [warning] = warnings(&service)[..] else { panic!("one warning: {:?}", service.warnings) };
    assert_eq!(
        warning.message,
        "not every engine has image llcm-test:latest: fetch image llcm-test:latest: engine other: no registry has \
         it: check the name and the tag"
    );
    assert!(warning.document.ends_with("demo-vnfd.yaml"), "{warning:?}");

    rig.world.forget_calls();
    let error = up(&llcm, &service).await.1.unwrap_err();
    assert_eq!(error.code, ErrorCode::ImageUnavailable);
    assert!(error.message.starts_with("ensure image llcm-test:latest in engine other: "), "{error}");
    assert_eq!(engines_called(&rig, Operation::Create), [""; 0]);
    assert!(rig.world.is_empty());

    // It comes by other ways; what its start script is, is known from the engine that had it.
    rig.world.add_image_to(&engine(OTHER), TEST_IMAGE, image("sha256:b", "./b.sh"));
    let instance = run(&llcm, &service).await;
    assert_eq!(instance.containers.iter().filter(|c| c.scripts[0].command == "./a.sh").count(), 3);
    down(&llcm, instance.id).await.unwrap();
}

#[tokio::test]
async fn only_engines_that_run_something_of_the_image_are_asked_for_it() {
    let placement = PlacementSettings { algorithm: "first".to_owned(), ..PlacementSettings::default() };
    let rig = Rig::with(Settings { placement, ..Settings::default() });
    let llcm = open_quick(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    rig.world.forget_calls();
    run(&llcm, &service).await;
    assert_eq!(engines_called(&rig, Operation::EnsureImage), ["sim"], "everything is in dc1");

    // A default engine that no data center has is not asked at onboarding either.
    let rig = Rig::new();
    let two = backend(&rig);
    let other = Arc::clone(two.containers_of(&dc("dc2")));
    let llcm = rig.open_on(two.with_datacenter(dc("dc1"), other).unwrap()).await.unwrap();
    rig.world.add_fault(Fault::fail(Operation::EnsureImage).engine("sim").always());
    let service = push(&llcm, &demo_chain()).await;
    assert_eq!(warnings(&service), [] as [&Diagnostic; 0]);
    run(&llcm, &service).await;
    assert_eq!(engines_called(&rig, Operation::EnsureImage), [OTHER, OTHER]);
}

#[tokio::test]
async fn an_image_that_no_engine_has_is_refused_with_what_each_says() {
    let rig = Rig::new();
    let llcm = open_quick(&rig).await;
    no_registry(&rig);
    let error = refuse(&llcm, &demo_chain()).await;
    assert_eq!(error.code, ErrorCode::ImageUnavailable);
    assert!(error.message.starts_with("image of unit vnf0.vdu01: "), "{error}");
    for name in ["sim", OTHER] {
        assert!(error.message.contains(&format!("engine {name}: no registry has it")), "{error}");
    }
    assert!(llcm.services().is_empty());
}

#[tokio::test]
async fn start_scripts_come_from_the_image_of_the_container_s_own_engine() {
    let rig = Rig::new();
    rig.world.add_image(TEST_IMAGE, image("sha256:a", "./a.sh"));
    rig.world.add_image_to(&engine(OTHER), TEST_IMAGE, image("sha256:b", "./b.sh"));
    let llcm = open_quick(&rig).await;
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let commands: Vec<_> = instance.containers.iter().map(|c| c.scripts[0].command.as_str()).collect();
    assert_eq!(commands, ["./a.sh", "./b.sh", "./a.sh"]);
}

#[tokio::test]
async fn images_are_built_in_each_engine_and_again_where_the_plan_needs_one() {
    let rig = builds();
    let llcm = open_quick(&rig).await;
    // The other engine cannot build for now, and has something of that name that is not ours.
    rig.world
        .add_fault(Fault::fail(Operation::BuildImage).engine(OTHER).kind(ErrorKind::Unsupported).always());
    rig.world.add_image_to(&engine(OTHER), "vnf1.vdu01", image("sha256:b", "./b.sh"));
    let service = push(&llcm, &built()).await;
    assert_eq!(warnings(&service).len(), 3);
    assert_eq!(calls_of(&rig, Operation::BuildImage).len(), 6);

    let error = up(&llcm, &service).await.1.unwrap_err();
    assert_eq!(error.code, ErrorCode::Unsupported);
    assert!(error.message.starts_with("ensure image vnf1.vdu01 in engine other: "), "{error}");
    assert!(rig.world.is_empty());
    assert_eq!(rig.world.image(&engine(OTHER), "vnf1.vdu01").unwrap().id, "sha256:b", "it is left alone");

    rig.world.clear_faults();
    rig.world.forget_calls();
    run(&llcm, &service).await;
    let calls = calls_of(&rig, Operation::BuildImage);
    let built: Vec<_> = calls.iter().map(|call| (call.target.as_str(), call.engine.clone())).collect();
    assert_eq!(built, [("vnf1.vdu01", Some(engine(OTHER)))], "dc2 has vnf1 only");
    assert_ne!(rig.world.image(&engine(OTHER), "vnf1.vdu01").unwrap().id, "sha256:b");

    // What was built at onboarding in both is there.
    let rig = builds();
    let llcm = open_quick(&rig).await;
    let service = push(&llcm, &self::built()).await;
    assert_eq!(warnings(&service), [] as [&Diagnostic; 0]);
    rig.world.forget_calls();
    run(&llcm, &service).await;
    assert_eq!(engines_called(&rig, Operation::BuildImage), [""; 0]);
}

#[tokio::test]
async fn an_engine_that_cannot_build_is_like_one_that_lacks_the_image() {
    for (sim, other, code) in [
        (ErrorKind::Unsupported, ErrorKind::Failed, ErrorCode::ImageUnavailable),
        (ErrorKind::Failed, ErrorKind::Unsupported, ErrorCode::ImageUnavailable),
        (ErrorKind::Unsupported, ErrorKind::Unsupported, ErrorCode::Unsupported),
    ] {
        let rig = builds();
        let llcm = open_quick(&rig).await;
        for (name, kind) in [("sim", sim), (OTHER, other)] {
            rig.world.add_fault(Fault::fail(Operation::BuildImage).engine(name).kind(kind).always());
        }
        let error = refuse(&llcm, &built()).await;
        assert_eq!(error.code, code);
        assert_eq!(error.others.len(), 2, "three images: {:?}", error.others);
        assert!(
            error.message.contains("engine sim: ") && error.message.contains("engine other: "),
            "{error}"
        );
    }
}

#[tokio::test]
async fn records_of_one_engine_are_read() {
    let rig = Rig::new();
    let store = Arc::new(MemoryStore::default());
    let shared = Arc::clone(&store) as Arc<dyn Store>;
    let llcm = Orchestrator::open_with(rig.parts(backend(&rig)), shared).await.unwrap();
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    let contents = store.load_all().unwrap();

    let planned = &contents.journals[&instance.id][0];
    let mut old = serde_json::to_value(planned).unwrap();
    assert_eq!(old.as_object_mut().unwrap().remove("engines").unwrap()["dc2"], OTHER);
    let Record::Planned(old) = serde_json::from_value(old).unwrap() else { panic!("it is a plan") };
    assert!(old.engines.is_empty());

    let known = &contents.services[&service.id];
    assert_eq!(known.image_id(&engine(OTHER), "x"), None);
    let mut old = serde_json::to_value(known).unwrap();
    old.as_object_mut().unwrap().remove("engine_images").unwrap();
    let old: ServiceRecord = serde_json::from_value(old).unwrap();
    let id = known.images[TEST_IMAGE].id.as_str();
    assert_eq!(old.image_id(&engine("sim"), TEST_IMAGE), Some(id), "there was one engine");
    assert_eq!(old.image(&engine(OTHER), TEST_IMAGE), known.images.get(TEST_IMAGE));
}
