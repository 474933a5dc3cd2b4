//! Memory sizes, CPU lists and CPU shares.

use crate::model::MemorySize;
use crate::yaml::{Field, cut};

/// `memory: {size, size_unit}` in bytes: the unit's first letter counts, in any case, in powers of 1024;
/// a missing unit is GB (5GTANGO's LLCM; its schema says MB, and nobody followed it). No size: no limit.
pub(crate) fn memory(memory: &Field<'_>) -> Option<MemorySize> {
    let size = memory.get("size")?;
    let number = size.number()?;
    let factor = match memory.get("size_unit") {
        None => GIB,
        Some(unit) => unit_factor(&unit)?,
    };
    let bytes = (number * factor).floor();
    if !(1.0..=MAX_BYTES).contains(&bytes) {
        size.error(
            "memory-out-of-range",
            format!("a memory size of {number} is out of range"),
            "write a size above 0 and below 8 EB, or leave it out for no limit",
        );
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "range checked above")]
    let bytes = bytes as u64;
    Some(MemorySize(bytes))
}

const KIB: f64 = 1024.0;
const GIB: f64 = KIB * KIB * KIB;
/// Below what container engines hold in a signed 64-bit number.
const MAX_BYTES: f64 = 9.0e18;

fn unit_factor(unit: &Field<'_>) -> Option<f64> {
    let text = unit.text()?;
    match text.bytes().next().map(|b| b.to_ascii_uppercase()) {
        Some(b'B') => Some(1.0),
        Some(b'K') => Some(KIB),
        Some(b'M') => Some(KIB * KIB),
        Some(b'G') => Some(GIB),
        Some(b'T') => Some(GIB * KIB),
        _ => {
            unit.error(
                "unknown-unit",
                format!("`{}` is no unit of memory", cut(&text)),
                "use B, kB, MB, GB or TB",
            );
            None
        }
    }
}

/// What a unit asks of the CPUs.
#[derive(Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) list: Option<String>,
    pub(crate) vcpus: Option<f64>,
    pub(crate) bandwidth: Option<f64>,
}

/// `cpu: {cpuset | cores | vcpus, cpu_bw}`.
pub(crate) fn cpu(cpu: &Field<'_>) -> Cpu {
    let vcpus = cpu.get("vcpus");
    let list = cpu.get_any(&["cpuset", "cores"]).or_else(|| vcpus.clone());
    let bandwidth = cpu.get("cpu_bw").and_then(|field| {
        let number = field.number()?;
        if number > 0.0 && number <= 10_000.0 {
            return Some(number);
        }
        field.error(
            "cpu-out-of-range",
            format!("a CPU share of {number} is out of range"),
            "write the share of one CPU's time, for example 0.5",
        );
        None
    });
    Cpu {
        list: list.and_then(|field| cpu_list(&field)),
        vcpus: vcpus
            .and_then(|field| field.node().scalar()?.trim().parse().ok())
            .filter(|number: &f64| number.is_finite() && *number > 0.0),
        bandwidth,
    }
}

/// `1`, `"5, 6"`, `0-3,7` as the engine wants it: blanks removed. A list is joined.
fn cpu_list(field: &Field<'_>) -> Option<String> {
    let text = if field.node().scalar().is_some() {
        field.text()?
    } else {
        field.items().iter().filter_map(Field::text).collect::<Vec<_>>().join(",")
    };
    let list: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if list.is_empty() {
        return None;
    }
    if list.parse::<f64>().is_ok_and(|number| number.fract() != 0.0) {
        field.warn(
            "fractional-vcpus",
            format!("{list} is a share of a CPU, not a list of CPUs: no CPU is pinned"),
            "write the share as `cpu_bw`, or set `vcpus: count`",
        );
        return None;
    }
    if list.split(',').all(is_cpu_range) {
        return Some(list);
    }
    field.error(
        "invalid-cpu-list",
        format!("`{}` is no list of CPUs", cut(&list)),
        "write CPU numbers and ranges, for example `0,2-3`",
    );
    None
}

/// `3` or `0-3`; numbers below 8192, the most that Linux can be built for.
fn is_cpu_range(part: &str) -> bool {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|&number| digits && number < 8192)
    };
    match part.split_once('-') {
        None => number(part).is_some(),
        Some((first, last)) => matches!((number(first), number(last)), (Some(a), Some(b)) if a <= b),
    }
}
