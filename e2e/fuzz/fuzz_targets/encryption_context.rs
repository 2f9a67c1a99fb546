//! See `operator_domain::properties::encryption_context`.
#![no_main]

use operator_domain::properties;

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&properties::encryption_context_seeds()),
    |data: &[u8]| properties::encryption_context(data)
);
