//! Capacity over the life of a server: live instances count, also after a restart, and give back what they had.

mod common;

use std::sync::Arc;

use common::{Rig, down, push, run};
use llcm_descriptors::Severity;
use llcm_lifecycle::request::{InstantiateOptions, ServiceRef, ServiceView};
use llcm_lifecycle::{ErrorCode, Orchestrator, Parts};
use llcm_runtime::simulated;
use llcm_testkit::demo_chain;

/// A server of which dc1 takes as many CPUs, and dc2 very many.
async fn open(rig: &Rig, cpus: u64) -> Arc<Orchestrator> {
    let mut topology = llcm_topology::default_topology();
    for (dc, cpus) in topology.datacenters.iter_mut().zip([cpus, 1000]) {
        dc.capacity.cpu_milli = Some(cpus * 1000);
    }
    let backend = simulated::backend(&rig.world, &rig.installation());
    Orchestrator::open(Parts { topology, ..rig.parts(backend) }).await.expect("it opens")
}

async fn up_with(llcm: &Arc<Orchestrator>, service: &ServiceView, placement: &str) -> Result<String, String> {
    let options = InstantiateOptions { placement: Some(placement.to_owned()) };
    let meant = ServiceRef::Given(service.id.to_string());
    let request = llcm.instantiate_with(&meant, options).await.map_err(|error| {
        assert_eq!(error.code, ErrorCode::CannotPlan);
        error.message
    })?;
    llcm.wait(request.id).await.expect("it runs");
    let instance = llcm.instances(false).into_iter().find(|one| one.id == request.instance_id);
    let instance = instance.expect("it is listed");
    Ok(instance.containers.iter().map(|it| it.datacenter.as_str()).collect::<Vec<_>>().join(" "))
}

#[tokio::test]
async fn what_lives_takes_room_also_after_a_restart_and_gives_it_back() {
    let rig = Rig::new();
    let llcm = open(&rig, 4).await;
    let service = push(&llcm, &demo_chain()).await;
    // Three units of one CPU each: two on dc1, then one, as round-robin goes on.
    let first = run(&llcm, &service).await;
    run(&llcm, &service).await;
    assert_eq!(up_with(&llcm, &service, "round-robin").await.unwrap_err(), refused(2, 1));
    llcm.shutdown(false).await.unwrap();

    let llcm = open(&rig, 4).await;
    assert_eq!(up_with(&llcm, &service, "round-robin").await.unwrap_err(), refused(2, 1));
    assert_eq!(up_with(&llcm, &service, "first").await.unwrap_err(), refused(3, 1));
    down(&llcm, first.id).await.unwrap();
    assert_eq!(up_with(&llcm, &service, "round-robin").await.unwrap(), "dc1 dc2 dc1");
    llcm.shutdown(false).await.unwrap();

    // One that was made smaller than what lives there keeps it, and takes nothing more.
    let llcm = open(&rig, 1).await;
    assert_eq!(llcm.instances(false).len(), 2);
    assert_eq!(up_with(&llcm, &service, "latency").await.unwrap(), "dc2 dc2 dc2");
    let error = up_with(&llcm, &service, "first").await.unwrap_err();
    assert!(error.contains("on dc1: 3 CPUs demanded, 0 free of 1"), "{error}");
}

fn refused(demanded: u32, free: u32) -> String {
    format!(
        "the service cannot be planned: the units placed on dc1: {demanded} CPUs demanded, {free} free of 4"
    )
}

#[tokio::test]
async fn a_package_can_be_on_boarded_that_the_usual_placement_has_no_room_for() {
    let rig = Rig::new();
    let llcm = open(&rig, 1).await;
    let service = push(&llcm, &demo_chain()).await;
    let error = llcm.instantiate(&ServiceRef::Latest).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::CannotPlan);
    assert!(error.diagnostics.iter().any(|finding| finding.code == "no-capacity"));
    assert!(llcm.instances(true).is_empty(), "refused before anything began");
    assert_eq!(up_with(&llcm, &service, "least-loaded").await.unwrap(), "dc2 dc2 dc2");
    assert!(up_with(&llcm, &service, "best").await.unwrap_err().contains("\"best\" is not known"));
}

#[tokio::test]
async fn of_two_that_fit_only_once_one_is_made() {
    let rig = Rig::new();
    let mut topology = llcm_topology::default_topology();
    topology.datacenters.iter_mut().for_each(|dc| dc.capacity.cpu_milli = Some(3000));
    topology.datacenters.truncate(1);
    topology.links.clear();
    let backend = simulated::backend(&rig.world, &rig.installation());
    let llcm = Orchestrator::open(Parts { topology, ..rig.parts(backend) }).await.expect("it opens");
    let service = push(&llcm, &demo_chain()).await;
    for placement in ["latency", "least-loaded", "first"] {
        let (first, second) =
            tokio::join!(up_with(&llcm, &service, placement), up_with(&llcm, &service, placement));
        let (made, refused): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
        assert_eq!(made, [Ok("dc1 dc1 dc1".to_owned())], "{placement}: {refused:?}");
        let live = llcm.instances(false);
        assert_eq!(live.len(), 1, "{placement}");
        down(&llcm, live[0].id).await.unwrap();
    }
}

#[tokio::test]
async fn a_package_can_be_on_boarded_that_the_usual_placement_has_no_links_for() {
    let rig = Rig::new();
    let mut topology = llcm_topology::default_topology();
    topology.links.clear();
    let backend = simulated::backend(&rig.world, &rig.installation());
    let llcm = Orchestrator::open(Parts { topology, ..rig.parts(backend) }).await.expect("it opens");
    let service = push(&llcm, &demo_chain()).await;
    let told: Vec<_> = service.warnings.iter().filter(|warning| warning.code == "no-path").collect();
    assert!(!told.is_empty() && told.iter().all(|warning| warning.severity == Severity::Warning));
    let error = up_with(&llcm, &service, "round-robin").await.unwrap_err();
    assert!(error.contains("has ends in dc1 and dc2, which no links join"), "{error}");
    assert_eq!(up_with(&llcm, &service, "latency").await.unwrap(), "dc1 dc1 dc1");
}
