//! See `hsm_sim::properties::StoreOpen`.
#![no_main]

use std::cell::RefCell;

use hsm_sim::properties::{StoreOpen, store_open_seeds};

thread_local! {
    static SUBJECT: RefCell<StoreOpen> = RefCell::new(StoreOpen::new());
}

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&store_open_seeds()),
    |data: &[u8]| SUBJECT.with_borrow_mut(|subject| subject.check(data))
);
