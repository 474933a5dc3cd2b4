//! Quantities with units: parsed once, kept as integers, and written so that they are read as what they were.

use std::borrow::Cow;

/// Parses a bandwidth in bits per second: `100Mbps`, `2.5 Gbit/s`, or a bare number. Units are decimal, in
/// any case: `bps`, `kbps`, `Mbps`, `Gbps`, `Tbps`, each also as `bit`, `kbit` ... and with `/s`.
///
/// # Errors
/// What is expected instead.
pub fn bandwidth_bps(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a bandwidth from 1bps to 100Tbps, for example 100Mbps";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let unit = unit.to_ascii_lowercase();
    let name = unit.strip_suffix("/s").unwrap_or(&unit);
    let prefix = name.strip_suffix("bps").or_else(|| name.strip_suffix("bit")).ok_or(EXPECTED);
    let factor = match if unit.is_empty() { Ok("") } else { prefix }? {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "t" => 1_000_000_000_000,
        _ => return Err(EXPECTED),
    };
    scaled(&number, factor).filter(|bps| (1..=100_000_000_000_000).contains(bps)).ok_or(EXPECTED)
}

/// Parses a duration in microseconds: `10ms`, `500us`, `0.2s`; 0 needs no unit.
///
/// # Errors
/// What is expected instead.
pub fn duration_us(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a duration up to 60s, for example 10ms";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let factor = match unit {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "" if is_zero(&number) => 1,
        _ => return Err(EXPECTED),
    };
    scaled(&number, factor).filter(|us| *us <= 60_000_000).ok_or(EXPECTED)
}

/// Parses a loss in packets per million: `0.1%`, `50ppm`, or a share from 0 to 1.
///
/// # Errors
/// What is expected instead.
pub fn loss_ppm(text: &str) -> Result<u32, &'static str> {
    const EXPECTED: &str = "expected a loss from 0% to 100%, for example 0.1%";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let factor = match unit {
        "%" => 10_000,
        "ppm" => 1,
        "" => 1_000_000,
        _ => return Err(EXPECTED),
    };
    let ppm = scaled(&number, factor).filter(|ppm| *ppm <= 1_000_000).ok_or(EXPECTED)?;
    u32::try_from(ppm).map_err(|_| EXPECTED)
}

/// Parses an amount of memory in bytes: `8GiB`, `512MB`, or a bare number of bytes. As in descriptors, `K`,
/// `M`, `G` and `T` are powers of 1024 whatever follows them.
///
/// # Errors
/// What is expected instead.
pub fn memory_bytes(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected an amount of memory up to 1024TiB, for example 8GiB";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(EXPECTED),
    };
    scaled(&number, factor).filter(|bytes| (1..=1 << 50).contains(bytes)).ok_or(EXPECTED)
}

/// Parses a number of CPUs as thousandths of one: `4`, `0.5`.
///
/// # Errors
/// What is expected instead.
pub fn cpu_milli(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a number of CPUs from 0.001 to 1000000, for example 4 or 0.5";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let milli = scaled(&number, 1_000).filter(|milli| (1..=1_000_000_000).contains(milli));
    milli.filter(|_| unit.is_empty()).ok_or(EXPECTED)
}

/// Parses a point in time after a beginning, in microseconds: `1.5s`, `300ms`, `2min`, up to a day; 0 needs no unit.
///
/// # Errors
/// What is expected instead.
pub fn time_us(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "expected a time up to 24h, for example 1.5s";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let factor = match unit {
        "us" | "µs" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "min" => 60_000_000,
        "h" => 3_600_000_000,
        "" if is_zero(&number) => 1,
        _ => return Err(EXPECTED),
    };
    scaled(&number, factor).filter(|us| *us <= LONGEST_US).ok_or(EXPECTED)
}

/// The last point in time that [`time_us`] reads: a day.
pub const LONGEST_US: u64 = 86_400_000_000;

/// A bandwidth as [`bandwidth_bps`] reads it: `2.5Mbps`.
#[must_use]
pub fn show_bandwidth(bps: u64) -> String {
    let units = [(1_000_000_000_000, "Tbps"), (1_000_000_000, "Gbps"), (1_000_000, "Mbps"), (1_000, "kbps")];
    show(bps, units, "bps")
}

/// A duration as [`duration_us`] reads it: `1.5ms`.
#[must_use]
pub fn show_duration(us: u64) -> String {
    if us == 0 { "0".to_owned() } else { show(us, [(1_000_000, "s"), (1_000, "ms")], "us") }
}

/// A loss as [`loss_ppm`] reads it: `0.1%`.
#[must_use]
pub fn show_loss(ppm: u32) -> String {
    format!("{}%", decimal(u64::from(ppm), 10_000))
}

/// An amount of memory as [`memory_bytes`] reads it: `8GiB`.
#[must_use]
pub fn show_memory(bytes: u64) -> String {
    let units = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, factor)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// A number of CPUs as [`cpu_milli`] reads it: `0.5`.
#[must_use]
pub fn show_cpu(milli: u64) -> String {
    decimal(milli, 1_000)
}

/// Parses a whole number within bounds; `None`: it is none.
pub(crate) fn whole(text: &str, bounds: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let (number, unit) = split(text)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    let number = whole.parse().ok().filter(|number| bounds.contains(number));
    number.filter(|_| unit.is_empty() && fraction.bytes().all(|digit| digit == b'0'))
}

fn show<const N: usize>(number: u64, units: [(u64, &str); N], smallest: &str) -> String {
    match units.into_iter().find(|(factor, _)| number >= *factor) {
        Some((factor, unit)) => format!("{}{unit}", decimal(number, factor)),
        None => format!("{number}{smallest}"),
    }
}

/// `number / factor` without rounding; the factor is a power of ten.
fn decimal(number: u64, factor: u64) -> String {
    let (whole, rest) = (number / factor, number % factor);
    if rest == 0 {
        return whole.to_string();
    }
    let digits = usize::try_from(factor.ilog10()).unwrap_or_default();
    let fraction = format!("{rest:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}

/// A decimal number and what follows it. A number alone may have an exponent, as programs write JSON.
fn split(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.trim();
    if !text.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if text.ends_with(|c: char| c.is_ascii_digit()) && text.contains(['e', 'E']) {
        let number: f64 = text.parse().ok()?;
        return Some((Cow::Owned(format!("{number:.18}")), ""));
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    Some((Cow::Borrowed(number), unit.trim_start()))
}

/// Whether a number is zero as it is written.
fn is_zero(number: &str) -> bool {
    number.bytes().all(|digit| matches!(digit, b'0' | b'.'))
}

/// `number x factor`, rounded to the nearest integer, in integers throughout; `None` when the number is none
/// or the product too large.
fn scaled(number: &str, factor: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !digits(whole) || !digits(fraction) {
        return None;
    }
    // Further digits are worth nothing.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let unit = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let product = whole.checked_mul(unit)?.checked_add(part)?.checked_mul(u128::from(factor))?;
    u64::try_from(product.checked_add(unit / 2)? / unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for bps in [1, 999, 1_000, 2_500_000, 1_234_567_891, 100_000_000_000_000] {
            assert_eq!(bandwidth_bps(&show_bandwidth(bps)), Ok(bps), "{}", show_bandwidth(bps));
        }
        for us in [0, 1, 1_000, 1_001, 1_500_000, 60_000_000] {
            assert_eq!(duration_us(&show_duration(us)), Ok(us), "{}", show_duration(us));
        }
        for ppm in [0, 1, 10_000, 12_345, 1_000_000] {
            assert_eq!(loss_ppm(&show_loss(ppm)), Ok(ppm), "{}", show_loss(ppm));
        }
        assert_eq!(
            [show_bandwidth(2_500_000), show_duration(1_500), show_loss(1_000)],
            ["2.5Mbps", "1.5ms", "0.1%"]
        );
        for bytes in [1, 1023, 1 << 10, 3 << 29, (1 << 40) + 1, 1 << 50] {
            assert_eq!(memory_bytes(&show_memory(bytes)), Ok(bytes), "{}", show_memory(bytes));
        }
        for milli in [1, 500, 1_000, 1_000_000_000] {
            assert_eq!(cpu_milli(&show_cpu(milli)), Ok(milli), "{}", show_cpu(milli));
        }
        assert_eq!([show_memory(3 << 29), show_cpu(500)], ["1536MiB", "0.5"]);
        let times = ["0", "1.5s", "2min", "24h", "25h", "1", "-1s"].map(|text| time_us(text).ok());
        let day = Some(LONGEST_US);
        assert_eq!(times, [Some(0), Some(1_500_000), Some(120_000_000), day, None, None, None]);
    }

    #[test]
    fn quantities_as_people_write_them() {
        for (text, bps) in [
            ("100Mbps", 100_000_000),
            ("2.5 Gbit/s", 2_500_000_000),
            ("64kbps", 64_000),
            ("1000", 1000),
            ("1 bps", 1),
            ("1e0bps", 0),
            ("10Mb", 0),
            ("0", 0),
            ("-1Mbps", 0),
            ("1000Tbps", 0),
            ("1e9", 1_000_000_000),
            ("1/s", 0),
        ] {
            assert_eq!(bandwidth_bps(text).unwrap_or(0), bps, "{text}");
        }
        for (text, us) in [
            ("10ms", Some(10_000)),
            ("0.5 ms", Some(500)),
            ("1us", Some(1)),
            ("2s", Some(2_000_000)),
            ("0", Some(0)),
            ("10", None),
            ("0.4", None),
            ("0.0", Some(0)),
            ("1h", None),
            ("61s", None),
            ("", None),
            (".", None),
            ("1.2.3ms", None),
            ("99999999999999999999999999999999999999999s", None),
        ] {
            assert_eq!(duration_us(text).ok(), us, "{text}");
        }
        for (text, ppm) in [
            ("0.1%", Some(1000)),
            ("100 %", Some(1_000_000)),
            ("50ppm", Some(50)),
            ("0.01", Some(10_000)),
            ("1", Some(1_000_000)),
            ("101%", None),
            ("1e-5", Some(10)),
            ("0.0000009999999999999999999999999", Some(1)),
            ("3 percent", None),
        ] {
            assert_eq!(loss_ppm(text).ok(), ppm, "{text}");
        }
        assert_eq!(memory_bytes("8GiB"), Ok(8 << 30));
        assert_eq!(memory_bytes("0.5 g"), Ok(1 << 29));
        assert!(memory_bytes("lots").is_err());
        assert_eq!(cpu_milli("0.5"), Ok(500));
        assert_eq!(cpu_milli("4"), Ok(4000));
        assert!(cpu_milli("4 cores").is_err());
        assert!(cpu_milli("0").is_err());
        assert!(cpu_milli("1000001").is_err());
        assert!(memory_bytes("1025TiB").is_err());
        for (text, number) in [
            ("7", Some(7)),
            (" 07 ", Some(7)),
            ("7.0", Some(7)),
            ("1e1", Some(10)),
            ("7.5", None),
            ("+7", None),
            ("7x", None),
            ("11", None),
            ("", None),
        ] {
            assert_eq!(whole(text, 1..=10), number, "{text}");
        }
    }
}
