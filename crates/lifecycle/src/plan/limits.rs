//! CPU limits: which CPUs, and how much of their time.

use std::collections::{BTreeMap, BTreeSet};

use llcm_runtime::CpuLimit;
use llcm_runtime::container_spec::{MAX_CPU, parse_cpu_list};

use super::ContainerPlan;
use super::build::PlanRequest;
use super::findings::Findings;
use super::service::UnitRef;
use crate::settings::VcpuRule;

/// The scheduler's period in microseconds: the originals' value, and the longest one the kernel takes.
pub(super) const PERIOD_US: u64 = 1_000_000;
/// The shortest quota in microseconds that the kernel takes.
const MIN_QUOTA_US: u64 = 1000;

/// A unit's CPU limits; `cpus` are those of the host, `None` or empty when not known.
pub(super) fn cpu(
    unit: &UnitRef<'_>,
    rule: VcpuRule,
    cpus: Option<&BTreeSet<u32>>,
    findings: &mut Findings,
) -> CpuLimit {
    let du = unit.unit;
    let list = du.cpu_list.as_deref().filter(|list| !list.is_empty());
    // The model keeps one list, whatever it was made from: it is `vcpus` when it says the same.
    let count = du.vcpus.filter(|n| rule == VcpuRule::Count && list == Some(n.to_string().as_str()));
    let cpuset = match (list, count) {
        (Some(list), None) => cpuset(unit, list, cpus.filter(|cpus| !cpus.is_empty()), findings),
        (None, _) | (_, Some(_)) => None,
    };
    let share = du.cpu_bandwidth * count.unwrap_or(1.0);
    CpuLimit { period_us: Some(PERIOD_US), quota_us: Some(quota(share)), cpuset }
}

/// The quota for a number of CPUs.
fn quota(cpus: f64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "a million is exact")]
    let micros = cpus * PERIOD_US as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and both ends are limited below"
    )]
    let micros = micros.round() as u64;
    // 8192 CPUs; beyond that no number means anything.
    micros.clamp(MIN_QUOTA_US, PERIOD_US * (u64::from(MAX_CPU) + 1))
}

/// Takes out of the specifications the limits that the engines of their data centers cannot set, and says so once
/// for each reason.
pub(super) fn leave_out(
    request: &PlanRequest<'_>,
    containers: &mut [ContainerPlan],
    findings: &mut Findings,
) {
    let Some(facts) = request.facts else { return };
    let mut left_out: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for container in containers {
        let Some(missing) = facts.missing_limits.get(&container.spec.datacenter) else { continue };
        for (limit, reason) in missing {
            let spec = &mut container.spec;
            let had = match limit.as_str() {
                "cpu" => spec.cpu.period_us.take().is_some() | spec.cpu.quota_us.take().is_some(),
                "cpuset" => spec.cpu.cpuset.take().is_some(),
                "memory" => spec.memory_bytes.take().is_some(),
                _ => false,
            };
            if had {
                left_out.entry((limit, reason)).or_default().push(spec.logical_name.clone());
            }
        }
    }
    let place = (request.descriptors.nsd.document.as_str(), "network_functions");
    for ((limit, reason), names) in left_out {
        findings.warn(
            "limit-not-set",
            place,
            format!("{}: the limit of {limit} is left out: {reason}", names.join(", ")),
            "limits are set with root, or with Docker",
        );
    }
}

fn cpuset(
    unit: &UnitRef<'_>,
    list: &str,
    cpus: Option<&BTreeSet<u32>>,
    findings: &mut Findings,
) -> Option<String> {
    let path = format!("{}.resource_requirements.cpu", unit.unit.path);
    let place = (unit.vnfd.document.as_str(), path.as_str());
    let name = format!("{}.{}", unit.vnf_id, unit.unit.id);
    let Some(wanted) = parse_cpu_list(list) else {
        findings.warn(
            "bad-cpu-list",
            place,
            format!("{name}: {list:?} is no list of CPUs: ignored"),
            "write numbers and ranges, for example 0,2-3",
        );
        return None;
    };
    let Some(cpus) = cpus else { return Some(list.to_owned()) };
    let (there, missing): (Vec<u32>, Vec<u32>) = wanted.iter().partition(|cpu| cpus.contains(cpu));
    if missing.is_empty() {
        return Some(list.to_owned());
    }
    findings.warn(
        "missing-cpu",
        place,
        format!("{name}: the host has no CPU {}: left out", join(&missing)),
        "name CPUs that the host has, or take vcpus as a count with the setting `vcpus: count`",
    );
    if there.is_empty() { None } else { Some(join(&there)) }
}

fn join(numbers: &[u32]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus() {
        let parsed = |list| parse_cpu_list(list).map(|cpus| join(&cpus.into_iter().collect::<Vec<_>>()));
        assert_eq!(parsed("1").as_deref(), Some("1"));
        assert_eq!(parsed("5,6").as_deref(), Some("5,6"));
        assert_eq!(parsed("0,2-4").as_deref(), Some("0,2,3,4"));
        for bad in ["0.5", "", "a", "3-1", "1,,2", "0-4294967295", "-1"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn quotas_keep_to_the_kernels_limits() {
        assert_eq!(quota(1.0), 1_000_000);
        assert_eq!(quota(0.07), 70_000);
        assert_eq!(quota(0.57), 570_000);
        assert_eq!(quota(0.000_1), 1000);
        assert_eq!(quota(-1.0), 1000);
        assert_eq!(quota(f64::NAN), 1000);
        assert_eq!(quota(f64::INFINITY), 8_192_000_000);
    }
}
