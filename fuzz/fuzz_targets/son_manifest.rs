//! The manifest of a SONATA package.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| llcm_fuzz::document(llcm_fuzz::MANIFEST_PATH, bytes));
