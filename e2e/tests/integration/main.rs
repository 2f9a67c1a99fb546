//! Our programs against a real kube-apiserver and etcd, all of them as processes on this machine.
//!
//! One program for all of it: its threads take the next test whichever file it is in, so that the machine is busy while some of them wait, and
//! it is linked once.

mod bad_requests;
mod certificates;
mod chart;
mod connection;
mod crash;
mod disconnect;
mod hsm_faults;
mod keys;
mod lifecycle;
mod manifests;
mod network;
mod protection;
mod protection_holes;
mod recovery;
mod rollout;
mod rotation;
mod secrecy;
mod status;
