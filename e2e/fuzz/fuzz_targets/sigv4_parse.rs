//! See `kms_gateway::properties::sigv4_parse`.
#![no_main]

use kms_gateway::properties;

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&properties::sigv4_parse_seeds()),
    |data: &[u8]| properties::sigv4_parse(data)
);
