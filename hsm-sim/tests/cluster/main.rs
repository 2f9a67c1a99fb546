//! Real processes, real volumes, real TLS: one test binary so that the client is linked once.

mod access;
mod crashes;
mod harness;
mod lifecycle;
mod lockout;
mod pod;
mod replication;
mod volumes;
