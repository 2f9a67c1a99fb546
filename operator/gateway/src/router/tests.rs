//! The whole request path in one process: real signatures, real index, real audit lines; HSMs and Kubernetes stand-ins.

mod access;
mod audit_trail;
pub(crate) mod bench;
mod create_key;
mod errors;
mod pages;
mod stores;
mod symmetric;
