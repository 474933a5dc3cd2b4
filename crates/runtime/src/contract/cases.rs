//! The list of cases, and how they are run.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::bed::Bed;
use super::report::{CaseResult, Checked, Outcome, Report, Stop};
use super::{
    Factory, chains, commands, containers, gate, networks, seconds, segments, traffic, watch, world,
};

/// How long one case may take, clean-up not included.
pub const CASE_TIMEOUT: Duration = seconds(120);

type Run = for<'b> fn(&'b mut Bed<'_>) -> Pin<Box<dyn Future<Output = Checked> + Send + 'b>>;

struct Case {
    name: &'static str,
    run: Run,
}

macro_rules! cases {
    ($($module:ident: $($name:ident),+;)+) => {
        &[$($(Case {
            name: concat!(stringify!($module), "::", stringify!($name)),
            run: |bed| Box::pin($module::$name(bed)),
        }),+),+]
    };
}

const CASES: &[Case] = cases! {
    containers:
        the_engine_tells_about_itself,
        an_image_is_fetched_once_and_stays,
        a_missing_image_is_an_error,
        asking_whether_it_can_run_makes_nothing,
        create_needs_the_image,
        create_and_start_may_be_repeated,
        another_spec_of_the_same_name_conflicts,
        another_owner_may_not_touch_it,
        what_is_absent_can_be_stopped_and_removed,
        what_is_absent_cannot_be_started,
        states_are_told_as_they_are,
        list_owned_tells_all_after_a_restart,
        foreign_containers_are_left_alone,
        an_abandoned_create_can_be_removed,
        the_environment_arrives,
        limits_arrive,
        a_port_in_use_conflicts,
        a_published_port_is_answered_by_the_container;
    commands:
        both_outputs_and_the_exit_code_come_back,
        a_command_needs_a_running_container,
        a_command_that_does_not_exist_is_invalid,
        the_output_of_a_container_can_be_read,
        following_ends_with_the_container;
    networks:
        prepare_may_be_repeated,
        segments_may_be_ensured_again,
        another_segment_of_the_same_id_conflicts,
        attach_may_be_repeated,
        another_port_of_the_same_id_conflicts,
        attach_needs_container_and_segment,
        an_interface_is_as_told,
        an_interface_on_no_link_exists,
        detach_removes_the_interface_and_may_be_repeated,
        a_port_of_a_removed_container_can_be_detached,
        another_owner_detaches_nothing,
        a_port_that_is_not_there_is_down,
        removing_a_segment_leaves_its_ports,
        list_owned_tells_all_after_a_restart,
        remove_instance_spares_other_instances,
        abandoned_work_can_be_removed,
        teardown_leaves_nothing;
    segments:
        an_e_line_joins_within_a_data_center,
        an_e_line_joins_across_data_centers,
        a_one_way_e_line_answers_no_echo,
        an_e_lan_joins_all_over_the_data_centers,
        an_e_tree_keeps_leaves_apart,
        segments_do_not_hear_one_another,
        the_host_can_be_an_end,
        instances_with_equal_addresses_do_not_meet,
        an_interface_may_be_on_several_links,
        a_removed_segment_carries_nothing,
        detaching_one_end_spares_the_others,
        a_port_set_down_is_silent_until_it_is_set_up,
        a_cut_link_is_dark_until_it_is_back;
    chains:
        a_chain_joins_ports_that_share_no_segment,
        what_matches_no_chain_goes_where_it_went,
        of_several_chains_the_highest_priority_decides,
        what_cannot_arrive_takes_no_other_way,
        a_one_way_chain_brings_no_answer,
        a_chain_outlives_restarts,
        chains_are_refused_as_segments_are;
    traffic:
        ports_are_counted_as_their_containers_see_them,
        links_are_counted_in_both_directions,
        a_capture_shows_frames_both_ways,
        a_capture_ends_with_its_time,
        what_passed_in_time_is_handed_out_later,
        a_capture_ends_when_there_is_nothing_to_look_at,
        what_is_not_there_cannot_be_captured;
    watch:
        an_end_is_told,
        a_process_that_is_killed_is_told,
        a_restart_behind_its_back_is_told,
        pauses_are_told,
        a_removal_behind_its_back_is_told,
        others_are_not_told,
        each_run_has_a_word_of_its_own;
    gate:
        the_process_waits_for_its_interfaces;
    world:
        a_restarted_container_is_plugged_in_again,
        a_service_goes_up_and_down_in_order,
        take_down_works_in_any_order,
        much_goes_on_at_once;
};

/// The names of all cases, in the order in which they run.
#[must_use]
pub fn case_names() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

/// Runs all cases, one after the other.
pub async fn run_all(factory: &dyn Factory) -> Report {
    run_matching(factory, "").await
}

/// Runs the cases whose names contain `part` (`segments::`, for example), one after the other.
pub async fn run_matching(factory: &dyn Factory, part: &str) -> Report {
    let mut report = Report::default();
    for case in matching(&[part]) {
        report.results.push(result(factory, case).await);
    }
    report
}

/// Runs the cases whose names contain one of `parts`, as many at a time as there are factories: each takes the next
/// case when it is done with one. Most of the suite's time is spent waiting for what is not to arrive.
///
/// The factories may make drivers of the same engine and the same host, or be the same one several times, as long as
/// no two have the same free ports where cases on `containers::` run. Where [`Factory::drivers`] restarts something
/// that drivers share, each factory needs its own of it. The results have the order of [`case_names`].
///
/// To be called in a runtime with several workers, with probes that do not block one.
///
/// # Panics
/// With what a factory or a probe panicked with.
pub async fn run_at_once(factories: Vec<Arc<dyn Factory>>, parts: &[&str]) -> Report {
    let cases: Arc<[&'static Case]> = matching(parts).collect();
    let next = Arc::new(AtomicUsize::new(0));
    let mut lines = JoinSet::new();
    for factory in factories {
        let (cases, next) = (cases.clone(), next.clone());
        lines.spawn(async move {
            let mut results = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = cases.get(index) else { break results };
                results.push((index, result(factory.as_ref(), case).await));
            }
        });
    }
    let mut results: Vec<_> = lines.join_all().await.into_iter().flatten().collect();
    results.sort_by_key(|(index, _)| *index);
    Report { results: results.into_iter().map(|(_, result)| result).collect() }
}

fn matching(parts: &[&str]) -> impl Iterator<Item = &'static Case> {
    CASES.iter().filter(|case| parts.iter().any(|part| case.name.contains(part)))
}

async fn result(factory: &dyn Factory, case: &Case) -> CaseResult {
    let began = Instant::now();
    let excluded = factory.excluded().into_iter().find(|(name, _)| *name == case.name);
    let outcome = match excluded {
        Some((_, why)) => Outcome::NotSeen(why.to_owned()),
        None => match run(factory, case).await {
            Ok(()) => Outcome::Passed,
            Err(Stop::Failed(why)) => Outcome::Failed(why),
            Err(Stop::NotSeen(why)) => Outcome::NotSeen(why),
        },
    };
    CaseResult { name: case.name, outcome, time: began.elapsed() }
}

async fn run(factory: &dyn Factory, case: &Case) -> Checked {
    let mut bed = Bed::make(factory).await?;
    let checked = match tokio::time::timeout(CASE_TIMEOUT, (case.run)(&mut bed)).await {
        Ok(checked) => checked,
        Err(_) => Err(Stop::Failed(format!("hangs: not done after {} s", CASE_TIMEOUT.as_secs()))),
    };
    let cleaned = match tokio::time::timeout(CASE_TIMEOUT, bed.clean()).await {
        Ok(cleaned) => cleaned,
        Err(_) => Err(Stop::Failed(format!("clean-up hangs: not done after {} s", CASE_TIMEOUT.as_secs()))),
    };
    match (checked, cleaned) {
        (Err(Stop::Failed(why)), Err(Stop::Failed(more))) => Err(Stop::Failed(format!("{why}; then {more}"))),
        (_, Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(()), Ok(())) => Ok(()),
    }
}
