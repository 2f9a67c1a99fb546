//! See `hsm_protocol::properties::inner_command`.
#![no_main]

use hsm_protocol::properties;

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&properties::inner_command_seeds()),
    |data: &[u8]| properties::inner_command(data)
);
