//! Real hsm-sim processes, three at a time, driven through the operator's own client and procedure.

mod attributes;
mod crash;
mod crowd;
mod delegation;
mod history;
mod hostile;
mod initialization;
mod join;
mod keys;
mod killed_change;
mod login;
mod membership;
mod roles;
mod rotation;
mod seats;
mod sessions;
mod volume;
mod volume_history;

use hsm_test_cluster as harness;
