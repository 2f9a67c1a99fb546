//! The controller of `KmsAccessKey`.
