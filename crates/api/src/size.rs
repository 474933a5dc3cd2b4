//! Numbers of bytes in messages: for people first, exact besides.

use std::fmt::{Display, Formatter, Result};

/// `512 MiB (536870912 bytes)`; below a KiB only `100 bytes`. Tenths of a unit are cut off.
pub(crate) struct Bytes(pub(crate) u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self(bytes) = *self;
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        let Some((shift, unit)) = units.into_iter().find(|(shift, _)| bytes >> shift > 0) else {
            return write!(f, "{bytes} bytes");
        };
        let tenths = (u128::from(bytes) * 10) >> shift;
        match tenths % 10 {
            0 => write!(f, "{} {unit} ({bytes} bytes)", tenths / 10),
            tenth => write!(f, "{}.{tenth} {unit} ({bytes} bytes)", tenths / 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_people_can_read_and_the_exact_number() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (64 * 1024, "64 KiB (65536 bytes)"),
            (100_000, "97.6 KiB (100000 bytes)"),
            (512 << 20, "512 MiB (536870912 bytes)"),
            ((2 << 30) - 1, "1.9 GiB (2147483647 bytes)"),
            (2 << 30, "2 GiB (2147483648 bytes)"),
            (u64::MAX, "17179869183.9 GiB (18446744073709551615 bytes)"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
