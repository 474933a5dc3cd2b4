//! The suite itself: it passes drivers that keep the contract, and no others.

use std::collections::BTreeMap;
use std::net::IpAddr;

use async_trait::async_trait;
use llcm_names::{EngineName, InstallationId};

use super::*;
use crate::simulated::{Fault, Operation};

#[tokio::test(start_paused = true)]
async fn the_simulated_drivers_keep_the_contract() {
    for factory in [SimulatedFactory::default(), SimulatedFactory::with_early_namespace()] {
        let report = run_all(&factory).await;
        println!("{report}");
        report.verdict(&[]).unwrap();
        assert_eq!(report.results.len(), case_names().len());
        assert!(factory.world().is_empty(), "{:?}", factory.world().snapshot());
    }
}

/// Needs a second for each of its drivers.
struct Slow(SimulatedFactory);

#[async_trait]
impl Factory for Slow {
    async fn drivers(&self, installation: &InstallationId) -> Result<Drivers, String> {
        tokio::time::sleep(Duration::from_secs(1)).await;
        self.0.drivers(installation).await
    }

    fn host(&self) -> &Host {
        self.0.host()
    }

    fn probe(&self) -> &dyn Probe {
        self.0.probe()
    }
}

#[tokio::test(start_paused = true)]
async fn factories_share_the_cases_and_the_report_has_their_order() {
    let slow = Arc::new(Slow(SimulatedFactory::default()));
    let factories: [Arc<dyn Factory>; 3] = [slow.clone(), slow.clone(), slow.clone()];
    let began = tokio::time::Instant::now();
    let report = run_at_once(factories.to_vec(), &["networks::", "segments::"]).await;
    report.verdict(&[]).unwrap();
    let names: Vec<_> = report.results.iter().map(|it| it.name).collect();
    let wanted = |name: &&str| name.starts_with("networks::") || name.starts_with("segments::");
    assert_eq!(names, case_names().into_iter().filter(wanted).collect::<Vec<_>>());
    let one_by_one: Duration = report.results.iter().map(|it| it.time).sum();
    assert!(began.elapsed() * 2 < one_by_one, "{:?} of {one_by_one:?}", began.elapsed());
    assert!(slow.0.world().is_empty(), "{:?}", slow.0.world().snapshot());
}

async fn failed_with(fault: Fault, part: &str) -> Vec<(&'static str, String)> {
    let factory = SimulatedFactory::default();
    factory.world().add_fault(fault);
    let report = run_matching(&factory, part).await;
    assert!(report.verdict(&[]).is_err());
    let failed = report.results.into_iter().filter_map(|result| match result.outcome {
        Outcome::Failed(why) => Some((result.name, why)),
        _ => None,
    });
    failed.collect()
}

#[tokio::test(start_paused = true)]
async fn drivers_that_fail_or_hang_fail_the_suite() {
    let failed = failed_with(Fault::fail(Operation::Detach).always(), "networks::").await;
    assert!(
        failed.iter().any(|(name, _)| *name == "networks::a_port_of_a_removed_container_can_be_detached")
    );
    let failed = failed_with(Fault::hang(Operation::Start).always(), "containers::create_and_start").await;
    assert_eq!(failed[0].1, "hangs: not done after 120 s");
    let failed = failed_with(Fault::fail(Operation::Remove).always(), "containers::states").await;
    assert!(failed[0].1.contains("remove container"), "{failed:?}");
}

/// Looks at the simulated world, but claims that everybody hears everybody, and sees nothing else.
struct Liar(SimulatedFactory);

#[async_trait]
impl Probe for Liar {
    async fn ping(&self, _from: &EngineName, _to: IpAddr) -> Option<bool> {
        Some(true)
    }
}

#[async_trait]
impl Factory for Liar {
    async fn drivers(&self, installation: &InstallationId) -> Result<Drivers, String> {
        self.0.drivers(installation).await
    }

    fn host(&self) -> &Host {
        self.0.host()
    }

    fn probe(&self) -> &dyn Probe {
        self
    }

    fn excluded(&self) -> Vec<(&'static str, &'static str)> {
        vec![("world::take_down_works_in_any_order", "to see it excluded")]
    }
}

#[tokio::test(start_paused = true)]
async fn a_network_without_isolation_fails_and_what_is_not_seen_must_be_named() {
    let report = run_all(&Liar(SimulatedFactory::default())).await;
    let outcomes: BTreeMap<_, _> = report.results.iter().map(|it| (it.name, &it.outcome)).collect();
    for name in [
        "segments::segments_do_not_hear_one_another",
        "segments::an_e_tree_keeps_leaves_apart",
        "segments::a_removed_segment_carries_nothing",
        "segments::instances_with_equal_addresses_do_not_meet",
    ] {
        assert!(matches!(outcomes[name], Outcome::Failed(_)), "{name}: {:?}", outcomes[name]);
    }
    let unseen: Vec<_> =
        report.results.iter().filter(|it| matches!(it.outcome, Outcome::NotSeen(_))).collect();
    let names: Vec<_> = unseen.iter().map(|it| it.name).collect();
    assert!(names.contains(&"networks::an_interface_is_as_told"), "{names:?}");
    assert!(names.contains(&"world::take_down_works_in_any_order"), "{names:?}");
    let errors = report.verdict(&names).unwrap_err();
    assert!(!errors.contains("was not seen"), "{errors}");
    let errors = report.verdict(&["networks::prepare_may_be_repeated"]).unwrap_err();
    assert!(errors.contains("networks::an_interface_is_as_told: was not seen"), "{errors}");
    assert!(errors.contains("networks::prepare_may_be_repeated: passed, though"), "{errors}");
    assert!(Report::default().verdict(&[]).is_err());
}
