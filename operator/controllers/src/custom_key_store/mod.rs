//! The controller of `CustomKeyStore`.
