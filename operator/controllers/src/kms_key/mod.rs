//! The controller of `KmsKey`.
