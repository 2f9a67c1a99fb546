//! Real hsm-sim processes, three at a time, driven through the operator's own client and procedure.

mod crash;
mod delegation;
mod harness;
mod initialization;
mod keys;
mod login;
mod membership;
mod roles;
mod rotation;
mod volume;
