//! What a crash test is made of: a starting state, a wish, the end of the work, and what can be seen then.

pub(crate) mod access;
pub(crate) mod clusters;
pub(crate) mod connection;
pub(crate) mod keys;
pub(crate) mod stores;
pub(crate) mod vault;

use anyhow::Result;
use e2e::crash::MOMENTS;
use operator_controllers::effect::Site;
use serde_json::Value;

use crate::crash::bench::Bench;

/// One piece of the leader's work. `run` numbers the repetitions, for names that must be new.
pub(crate) trait Scenario {
    /// For the report.
    fn name(&self) -> String;

    /// The effects that its plans aim at; all of them must occur.
    fn sites(&self) -> &'static [Site];

    /// The moments of an effect at which they let the leader die.
    fn moments(&self) -> &'static [&'static str] {
        &MOMENTS
    }

    /// Whether they aim at every passage of an effect, or at the first one only.
    fn every_passage(&self) -> bool {
        true
    }

    /// Brings the world to the starting state; a healthy leader runs.
    async fn prepare(&self, bench: &mut Bench, run: usize) -> Result<()>;

    /// Asks for the work; nobody leads.
    async fn ask(&self, bench: &Bench, run: usize) -> Result<()>;

    /// What else happens, while the leader that may die is at work.
    async fn meanwhile(&self, _bench: &Bench, _run: usize) -> Result<()> {
        Ok(())
    }

    /// Waits until the API server shows that the work is done.
    async fn finished(&self, bench: &Bench, run: usize) -> Result<()>;

    /// What must be the same after every run.
    async fn snapshot(&self, bench: &Bench, run: usize) -> Result<Value>;
}
