//! See `hsm_sim::properties::ciphertext_blob`.
#![no_main]

use hsm_sim::properties;

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&properties::ciphertext_blob_seeds()),
    |data: &[u8]| properties::ciphertext_blob(data)
);
