//! What the host has when an instance is made: others' names and ports, images that were pruned, and the
//! placement that an embedding program brings.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Rig, down, push, run, up, view};
use llcm_lifecycle::request::{InstanceState, InstanceView, ServiceRef};
use llcm_lifecycle::{ErrorCode, Orchestrator, Parts, Settings};
use llcm_names::{EngineName, InstallationId};
use llcm_placement::{Choice, Placement, PlacementError, Unit, View};
use llcm_runtime::simulated::{self, Fault, Latency, Operation, Script};
use llcm_runtime::{ContainerSpec, ErrorKind, ImageView, PortBinding, PullPolicy};
use llcm_testkit::{PackageBuilder, demo_chain, every_step};

const IMAGE: &str = llcm_testkit::TEST_IMAGE;

fn engine_names(instance: &InstanceView) -> Vec<String> {
    instance.containers.iter().map(|container| container.engine_name.to_string()).collect()
}

/// The demo chain with one image that is built from a Dockerfile in the package.
fn built() -> PackageBuilder {
    demo_chain()
        .replace("vm_image: 'llcm-test:latest'", "vm_image: 'file://docker/Dockerfile'")
        .file("docker/Dockerfile", "FROM scratch\n")
}

fn builds() -> Settings {
    Settings { build_images: true, ..Settings::default() }
}

#[tokio::test]
async fn containers_of_others_keep_their_names_and_ours_are_qualified() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &demo_chain()).await;
    let foreign = EngineName::parse("mn.vnf1.vdu01.0").unwrap();
    rig.world.add_foreign(&foreign, "busybox");
    let instance = run(&llcm, &service).await;
    let names = engine_names(&instance);
    assert_eq!((names[0].as_str(), names[2].as_str()), ("mn.vnf0.vdu01.0", "mn.vnf2.vdu01.0"));
    assert!(names[1].starts_with("mn.vnf1.vdu01.0.") && names[1].len() == 24, "{names:?}");
    assert_eq!(instance.containers[1].name.as_str(), "vnf1.vdu01.0");
    // A name that is free again is given again; what was given stays.
    rig.world.lose(&foreign);
    down(&llcm, instance.id).await.unwrap();
    let instance = run(&llcm, &service).await;
    assert_eq!(engine_names(&instance)[1], foreign.as_str());
    down(&llcm, instance.id).await.unwrap();
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn installations_on_one_engine_do_not_get_in_each_others_way() {
    let (rig, other) = (Rig::new(), Rig::new());
    let llcm = rig.open_quick().await;
    // The same engine under another installation, with ids of its own.
    let backend = simulated::backend(&rig.world, &InstallationId::from_bits(0xbeef));
    std::fs::write(other.dir.path().join("installation"), "0000beef\n").unwrap();
    assert_eq!(other.installation(), InstallationId::from_bits(0xbeef));
    let neighbour = other.open_on(backend).await.unwrap();
    let (ours, theirs) = (push(&llcm, &demo_chain()).await, push(&neighbour, &demo_chain()).await);
    let (first, second) = (run(&llcm, &ours).await, run(&neighbour, &theirs).await);
    common::all_different("name", engine_names(&first).into_iter().chain(engine_names(&second)));
    down(&llcm, first.id).await.unwrap();
    assert_eq!(rig.world.snapshot().containers.len(), 3);
    down(&neighbour, second.id).await.unwrap();
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn a_port_in_use_is_an_error_before_anything_starts() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    let published = bindings(&rig, &instance);
    let (name, taken) = published.first().cloned().expect("the package publishes ports");
    // The ports of our own instances are known as theirs: the next instance moves on and starts.
    let second = run(&llcm, &service).await;
    assert!(bindings(&rig, &second).iter().all(|(_, moved)| moved.host.get() >= 1000));
    down(&llcm, second.id).await.unwrap();
    down(&llcm, instance.id).await.unwrap();

    // The neighbour publishes the same port.
    let spec = ContainerSpec {
        name: EngineName::parse("neighbour").unwrap(),
        owner: llcm_names::Owner {
            installation: InstallationId::from_bits(0xbeef),
            instance: "0123abcd-0000-4000-8000-000000000000".parse().unwrap(),
        },
        interfaces: Vec::new(),
        ..name
    };
    let neighbour = simulated::backend(&rig.world, &spec.owner.installation);
    neighbour.containers().create(&spec).await.unwrap();
    neighbour.containers().start(&spec.owner, &spec.name).await.unwrap();
    rig.world.forget_calls();
    let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CannotPlan);
    let port = format!("host port {}/{} is in use on this host", taken.host, taken.protocol);
    assert!(error.message.contains(&port), "{error}");
    assert!(error.message.contains(&spec.logical_name), "{error}");
    let calls = rig.world.calls();
    assert!(calls.iter().all(|call| call.operation == Operation::Taken), "{calls:?}");
    assert!(llcm.instances(true).is_empty());

    neighbour.containers().remove(&spec.owner, &spec.name).await.unwrap();
    run(&llcm, &service).await;
}

/// What an instance's containers publish, with the specification of the container.
fn bindings(rig: &Rig, instance: &InstanceView) -> Vec<(ContainerSpec, PortBinding)> {
    let specs = instance.containers.iter().filter_map(|container| rig.world.spec(&container.engine_name));
    specs.flat_map(|spec| spec.published.clone().into_iter().map(move |port| (spec.clone(), port))).collect()
}

#[tokio::test]
async fn a_port_on_another_address_is_not_in_the_way() {
    let settings = Settings { publish_address: Some("127.0.0.1".parse().unwrap()), ..Settings::default() };
    let rig = Rig::with(settings.clone());
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    let instance = run(&llcm, &service).await;
    let (mut spec, _) = bindings(&rig, &instance).remove(0);
    down(&llcm, instance.id).await.unwrap();
    spec.name = EngineName::parse("neighbour").unwrap();
    spec.owner.installation = InstallationId::from_bits(0xbeef);
    spec.interfaces.clear();
    spec.published.iter_mut().for_each(|port| port.host_ip = Some("127.0.0.2".parse().unwrap()));
    let neighbour = simulated::backend(&rig.world, &spec.owner.installation);
    neighbour.containers().create(&spec).await.unwrap();
    neighbour.containers().start(&spec.owner, &spec.name).await.unwrap();
    run(&llcm, &service).await;
}

#[tokio::test]
async fn a_pruned_image_is_fetched_again_once_and_one_that_is_there_is_left() {
    for force_pull in [false, true] {
        let rig = Rig::with(Settings { force_pull, ..Settings::default() });
        let llcm = rig.open_quick().await;
        let service = push(&llcm, &demo_chain()).await;
        assert!(rig.world.remove_image(IMAGE));
        rig.world.forget_calls();
        let instance = run(&llcm, &service).await;
        let ensured = || {
            let calls = rig.world.calls().into_iter();
            calls.filter(|call| call.operation == Operation::EnsureImage).count()
        };
        assert_eq!(ensured(), 1, "once for three containers");
        assert!(rig.world.remove_image(IMAGE));
        let kept = ImageView { id: "sha256:kept".to_owned(), ..ImageView::default() };
        rig.world.add_image(IMAGE, kept);
        run(&llcm, &service).await;
        let backend = simulated::backend(&rig.world, &rig.installation());
        let policy = PullPolicy::Never;
        let image = backend.containers().ensure_image(IMAGE, policy, &()).await.unwrap();
        assert_eq!(image.id, "sha256:kept", "force_pull is for onboarding");
        assert_eq!(instance.state, InstanceState::Running);
    }
}

#[tokio::test]
async fn a_missing_build_is_built_again_and_never_fetched() {
    let rig = Rig::with(builds());
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &built()).await;
    // Nobody has images of these names; asking a registry for one would fail.
    rig.world.set_script(Script::parse("missing-images: ['*']").unwrap());
    assert!(rig.world.remove_image("vnf1.vdu01"));
    rig.world.forget_calls();
    let instance = run(&llcm, &service).await;
    let calls = rig.world.calls().into_iter();
    let builds: Vec<_> = calls.filter(|call| call.operation == Operation::BuildImage).collect();
    assert_eq!(builds.len(), 1, "{builds:?}");
    assert_eq!(builds[0].target, "vnf1.vdu01");
    down(&llcm, instance.id).await.unwrap();

    rig.world.remove_image("vnf1.vdu01");
    rig.world.add_fault(Fault::fail(Operation::BuildImage).message("no space left"));
    let error = up(&llcm, &service).await.1.unwrap_err();
    assert_eq!(error.code, ErrorCode::ImageUnavailable);
    assert!(
        error.message.starts_with("ensure image vnf1.vdu01: ") && error.message.contains("no space left")
    );
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn an_image_that_nobody_has_any_more_leaves_nothing() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    rig.world.remove_image(IMAGE);
    rig.world.set_script(Script::parse("missing-images: ['*']").unwrap());
    let (id, outcome) = up(&llcm, &service).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.code, ErrorCode::ImageUnavailable);
    assert!(error.message.contains(IMAGE) && error.message.contains("ensure image"), "{error}");
    assert_eq!(view(&llcm, id).unwrap().state, InstanceState::Failed);
    let created = rig.world.calls().into_iter().filter(|call| call.operation == Operation::Create).count();
    assert_eq!(created, 0, "images come before containers");
    assert!(rig.world.is_empty());
    rig.world.remove_image(IMAGE);
    rig.world.add_fault(Fault::fail(Operation::EnsureImage).kind(ErrorKind::Unavailable));
    assert_eq!(up(&llcm, &service).await.1.unwrap_err().code, ErrorCode::EngineUnavailable);
}

/// A fetch may take minutes: nobody waits for it when the instance is not wanted, or cannot be, any more.
#[tokio::test(start_paused = true)]
async fn a_fetch_is_given_up_with_the_creation() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm, &every_step()).await;
    let hour = Latency::fixed(Duration::from_secs(3600));
    rig.world.set_script(Script::default().taking(Operation::EnsureImage, hour));
    let began = tokio::time::Instant::now();
    let create = llcm.instantiate(&ServiceRef::Latest).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    down(&llcm, create.instance_id).await.unwrap();
    let error = llcm.wait(create.id).await.unwrap_err();
    assert!(error.message.contains("called off") && error.others.is_empty(), "{error:?}");

    rig.world.add_fault(Fault::fail(Operation::EnsureSegment).on_call(2));
    let error = up(&llcm, &service).await.1.unwrap_err();
    assert!(error.message.contains("ensure segment"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(rig.world.is_empty());
}

/// What an embedder might bring: everything in the data center with the last name.
struct Last;

impl Placement for Last {
    fn place(&self, view: &View<'_>, _unit: &Unit) -> Result<Choice, PlacementError> {
        let last = view.sites.iter().max_by_key(|site| site.datacenter.name.as_str());
        last.map(Choice::new).ok_or(PlacementError::NoDataCenter)
    }
}

/// None can have anything.
struct Full;

impl Placement for Full {
    fn place(&self, _view: &View<'_>, _unit: &Unit) -> Result<Choice, PlacementError> {
        Err(PlacementError::NoDataCenter)
    }
}

#[tokio::test]
async fn an_embedding_program_brings_its_own_placement() {
    // The setting names an algorithm that there is not: it is not looked at.
    let mut settings = Settings::default();
    settings.placement.algorithm = "of-ones-own".to_owned();
    let rig = Rig::with(settings);
    let parts = |placement: Arc<dyn Placement>| {
        let backend = simulated::backend(&rig.world, &rig.installation());
        Parts { placement: Some(placement), ..rig.parts(backend) }
    };
    let llcm = Orchestrator::open(parts(Arc::new(Last))).await.unwrap();
    let service = push(&llcm, &demo_chain()).await;
    let instance = run(&llcm, &service).await;
    assert!(instance.containers.iter().all(|container| container.datacenter.as_str() == "dc2"));
    llcm.shutdown(true).await.unwrap();
    drop(llcm);
    let llcm = Orchestrator::open(parts(Arc::new(Full))).await.unwrap();
    let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CannotPlan);
}
