//! Values of settings that need a parser of their own.

use std::str::FromStr;

use llcm_netplan::PoolConfig;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};

/// A number of bytes: `512MiB`, `10 MB`, `4096`. Units are powers of 1024 with `i`, of 1000 without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteSize(pub(crate) u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim_start().find(|c: char| !c.is_ascii_digit());
        let (number, unit) = text.trim().split_at(digits.unwrap_or(text.trim().len()));
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" | "k" => 1000,
            "mb" | "m" => 1000 * 1000,
            "gb" | "g" => 1000 * 1000 * 1000,
            "kib" | "ki" => 1 << 10,
            "mib" | "mi" => 1 << 20,
            "gib" | "gi" => 1 << 30,
            other => return Err(format!("unknown unit `{other}`: B, KiB, MiB, GiB, kB, MB or GB")),
        };
        let number: u64 = number.parse().map_err(|_| "expected a size (512MiB)".to_owned())?;
        number.checked_mul(factor).map(Self).ok_or_else(|| "the size is too large".to_owned())
    }
}

/// Reads an enum by the names that its serialised form uses, so that there is one list of them.
#[expect(clippy::needless_pass_by_value, reason = "the shape that clap wants")]
pub(crate) fn word<T: DeserializeOwned>(text: String) -> Result<T, serde::de::value::Error> {
    let deserializer: StrDeserializer<'_, serde::de::value::Error> = text.as_str().into_deserializer();
    T::deserialize(deserializer)
}

/// Reads a pool of subnets: `20.0.0.0/24x256`.
pub(crate) fn pool(text: &str) -> Result<PoolConfig, String> {
    let parts =
        text.split_once('x').and_then(|(first, count)| Some((first.trim(), count.trim().parse().ok()?)));
    let Some((first, count)) = parts else {
        return Err("expected the first subnet and their number (20.0.0.0/24x256)".to_owned());
    };
    PoolConfig::parse(first, count).map_err(|error| error.to_string())
}
