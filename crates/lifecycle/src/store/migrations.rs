//! From the formats of earlier programs to the present one, one step a file. A store is brought up to date when it is
//! opened, in one transaction: a kill in the middle leaves it as it was.
//!
//! A new format: the number in `store.rs`, a module here, its line in [`STEPS`], and a store of the program before it
//! in `tests/fixtures`, with a test that opens it (`tests/migrations.rs`).

use redb::WriteTransaction;

mod v1_to_v2;

pub(crate) use v1_to_v2::{program, stamp_program};

type Step = fn(&WriteTransaction) -> Result<(), redb::Error>;

/// The format that each step begins with, and the step to the next one.
const STEPS: &[(u32, Step)] = &[(1, v1_to_v2::migrate)];

/// Brings a store of an earlier format up to date; who calls it stamps it.
pub(crate) fn migrate(transaction: &WriteTransaction, found: u32) -> Result<(), redb::Error> {
    for (_, step) in STEPS.iter().filter(|(from, _)| *from >= found) {
        step(transaction)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FORMAT;

    #[test]
    fn every_format_before_the_present_one_has_its_step() {
        let from: Vec<_> = STEPS.iter().map(|(from, _)| *from).collect();
        assert_eq!(from, (1..FORMAT).collect::<Vec<_>>());
    }
}
