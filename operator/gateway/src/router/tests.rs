//! The whole request path in one process: real signatures, real index, real audit lines; HSMs and Kubernetes stand-ins.

#[cfg(test)]
mod access;
#[cfg(test)]
mod audit_trail;
// Test code, which may unwrap; clippy knows it only where it is for tests alone.
#[allow(clippy::unwrap_used)]
pub(crate) mod bench;
#[cfg(test)]
mod create_key;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod mutants;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod symmetric;
