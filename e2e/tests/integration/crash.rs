//! The leader dies at every effect there is: before it, after it with the answer lost, and after (INV-19…INV-27, L3).
//!
//! A scenario is run undisturbed first; its trace gives the plans, its end state is what every plan's end state must equal (L4). Then each
//! plan starts a leader that kills itself at one passage of one effect, and a healthy one takes over from whatever is left.

mod bench;
mod scenario;
mod snapshot;

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use operator_controllers::effect::Site;

use bench::Bench;
use scenario::{access, clusters, connection, keys, stores, vault};

/// What connect, rotation and key creation reach together; nothing else counts towards it.
const PLANS: usize = 200;
/// Their shares. A run reaches a few more of each: how often a status is brought up to date depends on timing.
const CONNECT: usize = 69;
const ROTATE: usize = 65;
const CREATE: usize = 33;
const CREATE_WITH_TWO: usize = 33;
const _: () = assert!(CONNECT + ROTATE + CREATE + CREATE_WITH_TWO >= PLANS);
/// Beside them: the end of a connection, the beginning and the end of a store, and what keys need.
const DISCONNECT: usize = 12;
const LIVE: usize = 32;
const SWITCH: usize = 10;
const ACCESS: usize = 24;

/// P1, P5, D12: connect and disconnect; INV-24: the ring's password is the one in force on every HSM.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_connect_and_of_disconnect() -> Result<()> {
    let mut bench = Bench::with_quickstart().await?;
    let connected = bench.run(&mut connection::Connect).await?;
    ensure!(connected >= CONNECT, "only {connected} plans of connect");
    let disconnected = bench.run(&mut connection::Disconnect).await?;
    ensure!(disconnected >= DISCONNECT, "only {disconnected} plans of disconnect");
    Ok(())
}

/// P1: a password that is supplied anew after an officer changed it on every HSM, or on one only, and a ring that is put back; stores that come
/// and go.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_a_rotation_and_of_a_stores_life() -> Result<()> {
    let mut bench = Bench::with_quickstart().await?;
    let mut rotated = bench.run(&mut connection::Supplied::on(3)).await?;
    rotated += bench.run(&mut connection::Supplied::on(1)).await?;
    ensure!(rotated >= ROTATE, "only {rotated} plans of rotations");
    bench.run(&mut vault::Ring).await?;
    drop(bench);
    let mut bench = Bench::with_a_cluster().await?;
    bench.run(&mut vault::Record).await?;
    let mut lived = bench.run(&mut stores::Accept).await?;
    lived += bench.run(&mut stores::Remove).await?;
    ensure!(lived >= LIVE, "only {lived} plans of a store's life");
    Ok(())
}

/// P2: keys with all HSMs, and their states (INV-19, INV-20).
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_key_creation_and_of_a_keys_state() -> Result<()> {
    let mut bench = Bench::with_quickstart().await?;
    let created = bench.run(&mut keys::Create::with_every_hsm()).await?;
    ensure!(created >= CREATE, "only {created} plans of key creation");
    let switched = bench.run(&mut keys::Switch).await?;
    ensure!(switched >= SWITCH, "only {switched} plans of a key's state");
    Ok(())
}

/// P2, P3: keys with one HSM away, accounts and access keys.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_access_and_of_key_creation_with_one_hsm_away() -> Result<()> {
    let mut bench = Bench::with_quickstart().await?;
    let mut needed = bench.run(&mut access::Deliver).await?;
    needed += bench.run(&mut access::Revoke).await?;
    ensure!(needed >= ACCESS, "only {needed} plans of accounts and access keys");
    let created = bench.run(&mut keys::Create::with_one_hsm_away()).await?;
    ensure!(created >= CREATE_WITH_TWO, "only {created} plans of key creation with two HSMs");
    Ok(())
}

/// D6, INV-08: one cluster per plan, from its manifest to three active HSMs.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_a_clusters_initialisation() -> Result<()> {
    let mut bench = Bench::with_a_cluster().await?;
    bench.run(&mut clusters::Initialize).await.map(|_| ())
}

/// An effect that nobody aims at would be an effect whose crash nobody has seen.
#[test]
fn every_effect_has_a_plan() {
    let connections = [connection::CONNECT, connection::DISCONNECT, connection::ROTATE];
    let stores = [stores::ACCEPT, stores::REMOVE, vault::RING, vault::RECORD];
    let keys = [keys::CREATE, keys::SWITCH, access::DELIVER, access::REVOKE];
    let scenarios = [clusters::INITIALIZE].into_iter().chain(connections).chain(stores).chain(keys);
    let aimed_at: BTreeSet<_> = scenarios.flatten().map(|site| site.name()).collect();
    let missed: Vec<_> = Site::ALL.iter().filter(|site| !aimed_at.contains(site.name())).collect();
    assert!(missed.is_empty(), "no scenario aims at {missed:?}");
}
