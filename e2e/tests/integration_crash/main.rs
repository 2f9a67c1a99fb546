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
use scenario::{access, connection, keys, stores};

/// Of all three tests together; each holds its own share to account.
const PLANS: usize = 200;
const CONNECT: usize = 70;
const ROTATE: usize = 65;
const CREATE: usize = PLANS - CONNECT - ROTATE;

/// P1, P5, D12: connect and disconnect; INV-24: the ring's password is the one in force on every HSM.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_connect_and_of_disconnect() -> Result<()> {
    let mut bench = Bench::with_quickstart().await?;
    let mut reached = bench.run(&mut connection::Connect).await?;
    reached += bench.run(&mut connection::Disconnect).await?;
    ensure!(reached >= CONNECT, "only {reached} plans");
    Ok(())
}

/// P1: a password that is supplied anew after an officer changed it on every HSM, or on one only; stores that come and go.
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_a_rotation_and_of_a_stores_life() -> Result<()> {
    let mut bench = Bench::with_quickstart().await?;
    let mut reached = bench.run(&mut connection::Supplied::on(3)).await?;
    reached += bench.run(&mut connection::Supplied::on(1)).await?;
    drop(bench);
    let mut bench = Bench::with_a_cluster().await?;
    reached += bench.run(&mut stores::Accept).await?;
    reached += bench.run(&mut stores::Remove).await?;
    ensure!(reached >= ROTATE, "only {reached} plans");
    Ok(())
}

/// P2, P3: keys with all HSMs and with one away, their states, accounts and access keys (INV-19, INV-20).
#[tokio::test]
async fn the_leader_may_die_at_every_effect_of_key_creation_and_of_what_keys_need() -> Result<()> {
    let mut bench = Bench::with_quickstart().await?;
    let mut reached = bench.run(&mut keys::Create::with_every_hsm()).await?;
    reached += bench.run(&mut keys::Switch).await?;
    reached += bench.run(&mut access::Deliver).await?;
    reached += bench.run(&mut access::Revoke).await?;
    reached += bench.run(&mut keys::Create::with_one_hsm_away()).await?;
    ensure!(reached >= CREATE, "only {reached} plans");
    Ok(())
}

/// Effects of works that are not played here. A Secret that is lost together with the only process that remembers it is lost: P1's last row, and
/// `integration_rotation` shows the cure. The record of a cluster is written again by whatever reconcile comes next, like every record.
const ELSEWHERE: &[Site] = &[Site::RingRestore, Site::ClusterRecord];

/// An effect that nobody aims at would be an effect whose crash nobody has seen.
#[test]
fn every_effect_has_a_plan() {
    let scenarios =
        [connection::CONNECT, connection::DISCONNECT, connection::ROTATE, stores::ACCEPT, stores::REMOVE, keys::CREATE]
            .into_iter()
            .chain([keys::SWITCH, access::DELIVER, access::REVOKE, ELSEWHERE]);
    let aimed_at: BTreeSet<_> = scenarios.flatten().map(|site| site.name()).collect();
    let missed: Vec<_> = Site::ALL.iter().filter(|site| !aimed_at.contains(site.name())).collect();
    assert!(missed.is_empty(), "no scenario aims at {missed:?}");
}
