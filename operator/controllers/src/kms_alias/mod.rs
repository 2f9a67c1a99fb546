//! The controller of `KmsAlias`.
