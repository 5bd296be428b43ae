//! The configuration loader: any text is either loaded or refused with problems that can be shown; it never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(failed) = tollgate::config::load_str("fuzz.yaml", text) {
        assert!(!failed.to_string().is_empty(), "refused without saying why");
    }
});
