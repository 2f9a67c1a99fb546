//! How a cluster of blank HSMs becomes an active one, without Kubernetes (architecture, "Initialisation order").
//!
//! [`Procedure::observe`] collects facts, [`next_step`] decides purely, [`Procedure::perform`] does one step. The caller
//! records what only it can record (set-once fields) and calls again; a crash anywhere is resumed by observing anew.

pub mod password;
pub mod ring;
