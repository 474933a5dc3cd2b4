//! From an NSD to plans: two instances in each dialect, with service access points and without.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| llcm_fuzz::plan::plan(bytes));
