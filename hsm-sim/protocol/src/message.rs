//! Message bodies, generated from `proto/*.proto`; their comments are there.
//!
//! Security: messages that carry a secret have no `Debug` and wipe themselves when dropped (`build.rs` lists them).

#![allow(missing_docs, clippy::pedantic)]

include!(concat!(env!("OUT_DIR"), "/keystores.hsm.v1.rs"));
