//! The configuration loader: any text is either loaded or refused with problems that can be shown; it never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(problems) = tollgate::config::load_str(text) {
        assert!(!problems.to_string().is_empty(), "refused without saying why");
    }
});
