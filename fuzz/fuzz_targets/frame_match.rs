//! The match of a chain; behind a zero, a frame that is held against it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use llcm_runtime::FrameMatch;

fuzz_target!(|bytes: &[u8]| {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (text, frame) = bytes.split_at(end);
    let Ok(text) = std::str::from_utf8(text) else { return };
    match text.parse::<FrameMatch>() {
        Ok(matches) => {
            let canonical = matches.to_string();
            assert_eq!(canonical.parse::<FrameMatch>().as_ref(), Ok(&matches));
            assert_eq!(matches.is_all(), canonical.is_empty());
            assert!(!matches.is_all() || matches.admits(frame));
            let _ = matches.admits(frame.get(1..).unwrap_or_default());
        }
        Err(error) => {
            assert!(error.column >= 1 && !error.message.is_empty() && error.message.len() < 1024, "{error}");
        }
    }
});
