//! Services of dialect `sonata`, with several instances of each, on a simulated host.

mod common;

use std::sync::Arc;

use common::{Rig, all_different, down, run, upload};
use llcm_lifecycle::plan::InstanceDocument;
use llcm_lifecycle::request::{InstanceView, ServiceView};
use llcm_lifecycle::{Dialect, Orchestrator, Settings};
use llcm_testkit::demo_chain;

async fn push(llcm: &Arc<Orchestrator>) -> ServiceView {
    let upload = upload(llcm, &demo_chain().build());
    llcm.onboard(upload, Dialect::Sonata).await.expect("it is on-boarded")
}

fn plan(llcm: &Orchestrator, instance: &InstanceView) -> InstanceDocument {
    let plan = llcm.instance_plan(instance.id).expect("it has a plan");
    serde_json::from_value(plan).expect("the plan is the public document")
}

fn names(plan: &InstanceDocument) -> Vec<&str> {
    plan.containers.iter().map(|container| container.engine_name.as_str()).collect()
}

fn subnets(plan: &InstanceDocument) -> Vec<String> {
    let lines = plan.elines.iter().map(|line| line.subnet);
    lines.chain(plan.elans.iter().map(|lan| lan.subnet)).map(|subnet| subnet.to_string()).collect()
}

#[tokio::test]
async fn every_instance_has_names_and_subnets_of_its_own_and_gives_them_back() {
    let rig = Rig::new();
    let llcm = rig.open_quick().await;
    let service = push(&llcm).await;
    assert_eq!(service.dialect, Dialect::Sonata);
    let (first, second) = (run(&llcm, &service).await, run(&llcm, &service).await);
    // Another service of the same functions, whose first instance finds its names and subnets taken.
    let other = push(&llcm).await;
    let third = run(&llcm, &other).await;
    let plans = [&first, &second, &third].map(|instance| plan(&llcm, instance));
    assert_eq!(names(&plans[0]), ["mn.vnf0", "mn.vnf1", "mn.vnf2"]);
    assert_eq!(names(&plans[1]), ["mn.vnf0.1", "mn.vnf1.1", "mn.vnf2.1"]);
    assert_eq!(plans[2].containers[0].name.as_str(), "vnf0");
    all_different("name", plans.iter().flat_map(names).map(str::to_owned));
    assert_eq!(subnets(&plans[0]), ["10.30.0.0/30", "10.30.1.0/30", "10.20.0.0/24"]);
    assert_eq!(subnets(&plans[1]), ["10.30.2.0/30", "10.30.3.0/30", "10.20.1.0/24"]);
    assert_eq!(subnets(&plans[2]), ["10.30.4.0/30", "10.30.5.0/30", "10.20.2.0/24"]);
    assert!(plans.iter().flat_map(|plan| &plan.elines).all(|line| !line.bidirectional));

    down(&llcm, first.id).await.expect("it is terminated");
    let again = run(&llcm, &service).await;
    let again_plan = plan(&llcm, &again);
    assert_eq!((names(&again_plan), subnets(&again_plan)), (names(&plans[0]), subnets(&plans[0])));
    for instance in [again, second, third] {
        down(&llcm, instance.id).await.expect("it is terminated");
    }
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn a_pool_of_subnets_lasts_for_as_many_instances_one_after_the_other_as_one_likes() {
    let mut settings = Settings::default();
    settings.pools.elan = Some(llcm_netplan::PoolConfig::parse("10.20.0.0/24", 1).expect("a pool"));
    let rig = Rig::with(settings);
    let llcm = rig.open_quick().await;
    let service = push(&llcm).await;
    for _ in 0..3 {
        let instance = run(&llcm, &service).await;
        assert_eq!(subnets(&plan(&llcm, &instance))[2], "10.20.0.0/24");
        let meant = llcm_lifecycle::request::ServiceRef::Given(service.id.to_string());
        let error = llcm.instantiate(&meant).await.expect_err("the pool is exhausted");
        assert!(error.message.contains("no subnet for E-LAN mgmt"), "{error}");
        down(&llcm, instance.id).await.expect("it is terminated");
    }
    assert!(rig.world.is_empty());
}

#[tokio::test]
async fn results_are_kept_below_the_data_directory_unless_set_otherwise() {
    for results_dir in [None, Some("/srv/results".into())] {
        let rig = Rig::with(Settings { results_dir: results_dir.clone(), ..Settings::default() });
        let llcm = rig.open_quick().await;
        let service = push(&llcm).await;
        let base = results_dir.unwrap_or_else(|| rig.dir.path().join("results"));
        let (first, second) = (run(&llcm, &service).await, run(&llcm, &service).await);
        for instance in [first, second] {
            for container in plan(&llcm, &instance).containers {
                let host = base.join(service.id.to_string()).join(&container.vnf_id);
                assert_eq!(container.volumes, [format!("{}:/mnt/share/:rw", host.display())]);
            }
        }
    }
}
