//! A topology file in GraphML.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| llcm_fuzz::graphml(bytes));
