//! The controller of `KeystoreAccount`.
