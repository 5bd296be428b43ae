//! Path normalisation: what it accepts has one spelling only, and nothing that climbs or hides a separator is left.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::routing::normalise;

fuzz_target!(|path: &str| {
    let Ok(normal) = normalise(path) else { return };
    let once = normal.into_text();
    let twice = normalise(&once).expect("a normal form is one").into_text();
    assert_eq!(once, twice, "normalising twice changes it");
    assert!(once.starts_with('/') && !once.contains("//"), "{once:?}");
    assert!(once.split('/').all(|segment| !matches!(segment, "." | "..")), "{once:?}");
    assert!(once.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\'), "{once:?}");
});
