//! See `hsm_sim::properties::SessionSequence`.
#![no_main]

use std::cell::RefCell;

use hsm_sim::properties::{SessionSequence, session_sequence_seeds};

thread_local! {
    static SUBJECT: RefCell<SessionSequence> = RefCell::new(SessionSequence::new());
}

libfuzzer_sys::fuzz_target!(
    init: keystore_fuzz::begin(&session_sequence_seeds()),
    |data: &[u8]| SUBJECT.with_borrow_mut(|subject| subject.check(data))
);
