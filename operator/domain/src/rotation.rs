//! Protocol P1: the password of `kmsuser` is rotated at every connect and never lost (INV-24…31, CKS-43…45).
//!
//! The plan knows epochs and operation ids, never a password: the ring in the vault holds those, one per epoch. From ring
//! and HSMs it finds the next step, so that a crash anywhere is answered by asking again.

mod plan;
mod ring;

pub use plan::{Credential, Forward, HsmCredential, Rotation, RotationStep, Supplied, bring_forward, next_step};
pub use ring::{EntryState, InvalidRing, Ring, RingEntry};

#[cfg(test)]
mod tests;
