//! See `hsm_protocol::properties::frame`.
#![no_main]

use hsm_protocol::properties;

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&properties::frame_seeds()),
    |data: &[u8]| properties::frame(data)
);
