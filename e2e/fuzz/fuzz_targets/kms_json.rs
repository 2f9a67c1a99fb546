//! See `kms_gateway::properties::Endpoint`.
#![no_main]

use std::cell::RefCell;

use kms_gateway::properties::{Endpoint, kms_json_seeds};

thread_local! {
    static SUBJECT: RefCell<Endpoint> = RefCell::new(Endpoint::new());
}

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&kms_json_seeds()),
    |data: &[u8]| SUBJECT.with_borrow_mut(|subject| subject.kms_json(data))
);
