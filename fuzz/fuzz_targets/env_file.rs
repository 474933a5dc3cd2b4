//! A file with a container's environment.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llcm_lifecycle::plan::parse_env_file;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(variables) = parse_env_file("x.env.yml", bytes) {
        for (name, value) in variables {
            assert!(!name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
        }
    }
});
