//! An archive of images, or, behind a zero, the layer of one that is in order otherwise.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| llcm_fuzz::image::image(bytes));
