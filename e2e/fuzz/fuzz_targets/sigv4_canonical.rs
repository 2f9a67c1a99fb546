//! See `kms_gateway::properties::sigv4_canonical`.
#![no_main]

use kms_gateway::properties;

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&properties::sigv4_canonical_seeds()),
    |data: &[u8]| properties::sigv4_canonical(data)
);
