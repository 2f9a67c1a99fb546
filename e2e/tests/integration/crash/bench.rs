//! What every plan needs: an installation, a leader that can be armed, killed and replaced, and the comparison with the undisturbed run.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::crash::{TRACE, VARIABLE, plans};
use e2e::hsm::Hsms;
use e2e::installation::Installation;
use e2e::quickstart::{self, NAME};
use e2e::scenario::{PATIENCE, Tenant};
use e2e::wait::{Look, until};
use kube::Client;
use serde_json::Value;

use crate::crash::scenario::Scenario;

/// How long a leader that did all the work may take to die all the same, before its plan counts as one that was not reached.
const LATE: Duration = Duration::from_millis(500);
/// The same while nobody has died yet at what the plan aims at: there a leader that is only slow would be missed.
const LATE_FOR_THE_FIRST: Duration = Duration::from_secs(5);

/// How often an aim that no plan has reached is tried. Some effects are there only if the leader is quicker than the HSMs, which help each other:
/// a copy of a key that another HSM has fetched already need not be carried there.
const ROUNDS: u32 = 4;

/// Between two looks at an end state: longer than a round of the HSMs' replication (2 s) or a controller's next attempt.
const BETWEEN_LOOKS: Duration = Duration::from_secs(4);
const MOST_LOOKS: u32 = 15;

/// What a plan aims at, whichever the passage: `site:moment`.
fn aim(plan: &str) -> &str {
    plan.rsplit_once(':').map_or(plan, |(aim, _)| aim)
}

/// One installation with a tenant.
pub(crate) struct Bench {
    pub(crate) installation: Installation,
    pub(crate) client: Client,
    pub(crate) tenant: Tenant,
    pub(crate) hsms: Hsms,
}

impl Bench {
    /// The whole quickstart, ready.
    pub(crate) async fn with_quickstart() -> Result<Self> {
        let installation = Installation::start().await?;
        quickstart::ready(&installation).await?;
        Self::of(installation).await
    }

    /// The quickstart's namespace and cluster, without a store.
    pub(crate) async fn with_a_cluster() -> Result<Self> {
        let installation = Installation::start().await?;
        let manifests = quickstart::manifests()?;
        let kinds = ["kind: Namespace", "kind: CloudHsmCluster"];
        let wanted = manifests.split("\n---\n").flat_map(|file| file.split("\n---"));
        let wanted: Vec<_> = wanted.filter(|text| text.lines().any(|line| kinds.contains(&line))).collect();
        installation.apply(&wanted.join("\n---\n"))?;
        Self::of(installation).await
    }

    async fn of(installation: Installation) -> Result<Self> {
        let client = installation.admin().await?;
        let tenant = Tenant::new(client.clone(), NAME);
        let cluster = tenant.cluster_is_active(NAME).await.with_context(|| installation.last_words())?;
        let hsms = Hsms::of(&client, &cluster).await?;
        Ok(Self { installation, client, tenant, hsms })
    }

    /// Runs a scenario undisturbed, then once per plan. Returns how many plans reached their effect. Some do not: passages that only the
    /// undisturbed run had, such as a status that was brought up to date once more. But every effect is reached at each of its moments.
    pub(crate) async fn run(&mut self, scenario: &mut impl Scenario) -> Result<usize> {
        let begun = Instant::now();
        let (wanted, plans) = self.undisturbed(scenario).await?;
        let (mut number, mut reached) = (0, 0);
        let mut missed = plans.iter().map(|plan| aim(plan)).collect::<BTreeSet<_>>();
        for round in 0..ROUNDS {
            for plan in &plans {
                let is_missed = missed.contains(aim(plan));
                if round > 0 && !is_missed {
                    continue;
                }
                number += 1;
                let late = if is_missed { LATE_FOR_THE_FIRST } else { LATE };
                let run = self.disturbed(scenario, number, plan, late, &wanted).await;
                if run.with_context(|| format!("{plan}\n{}", self.installation.last_words()))? {
                    reached += 1;
                    missed.remove(aim(plan));
                }
            }
        }
        let (name, seconds) = (scenario.name(), begun.elapsed().as_secs());
        println!("{name}: {reached} of {} plans reached their effect, {seconds} s", plans.len());
        ensure!(missed.is_empty(), "{name}: nobody died at {missed:?}");
        Ok(reached)
    }

    async fn undisturbed(&mut self, scenario: &mut impl Scenario) -> Result<(Value, Vec<String>)> {
        scenario.prepare(self, 0).await?;
        self.kill_leader().await?;
        scenario.ask(self, 0).await?;
        let trace = self.installation.plane.folder().join("trace");
        self.installation.start_controllers(1, &[(TRACE, &trace.display().to_string())]).await?;
        scenario.meanwhile(self, 0).await.with_context(|| self.installation.last_words())?;
        scenario.finished(self, 0).await.with_context(|| self.installation.last_words())?;
        let plans = plans(&std::fs::read_to_string(trace)?, scenario.sites());
        let mut plans = plans.map_err(|missed| anyhow::anyhow!("{}: never passed {missed:?}", scenario.name()))?;
        plans.retain(|plan| scenario.moments().iter().any(|moment| aim(plan).ends_with(*moment)));
        plans.retain(|plan| scenario.every_passage() || plan.ends_with(":1"));
        Ok((self.end_state(scenario).await?, plans))
    }

    /// The end state when nothing is under way any more: a state may be shown while the last HSM still gets it from its peers.
    async fn end_state(&self, scenario: &impl Scenario) -> Result<Value> {
        let mut end = scenario.snapshot(self, 0).await?;
        for _ in 0..MOST_LOOKS {
            tokio::time::sleep(BETWEEN_LOOKS).await;
            let again = scenario.snapshot(self, 0).await?;
            if again == end {
                return Ok(end);
            }
            end = again;
        }
        anyhow::bail!("{}: no end in {MOST_LOOKS} looks: {end}", scenario.name())
    }

    /// Whether the plan reached its effect; an error if the end is another than the undisturbed one.
    async fn disturbed(
        &mut self,
        scenario: &mut impl Scenario,
        number: usize,
        plan: &str,
        late: Duration,
        wanted: &Value,
    ) -> Result<bool> {
        scenario.prepare(self, number).await?;
        self.kill_leader().await?;
        scenario.ask(self, number).await?;
        self.installation.start_controllers(2, &[(VARIABLE, plan)]).await?;
        scenario.meanwhile(self, number).await?;
        let died = self.dies_before_the_end(scenario, number, late).await?;
        self.kill_leader().await?;
        self.installation.start_controllers(1, &[]).await?;
        scenario.finished(self, number).await?;
        until("the end state of the undisturbed run", PATIENCE, || async {
            // An HSM that does not answer in time on a busy machine has shown nothing yet, neither right nor wrong.
            Ok(match scenario.snapshot(self, number).await {
                Ok(end) if end == *wanted => Look::Done(()),
                Ok(end) => Look::NotYet(format!("{end}\nin place of {wanted}")),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })
        .await?;
        Ok(died)
    }

    /// A leader that did all the work is given `late` to die all the same.
    async fn dies_before_the_end(&mut self, scenario: &impl Scenario, number: usize, late: Duration) -> Result<bool> {
        let mut process = self.installation.controllers.remove(&2).context("no leader with a plan")?;
        let died = async {
            while process.ended()?.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            anyhow::Ok(())
        };
        let survived = async {
            scenario.finished(self, number).await?;
            tokio::time::sleep(late).await;
            anyhow::Ok(())
        };
        tokio::select! {
            ended = died => ended.map(|()| true),
            survived = survived => {
                survived?;
                process.kill();
                Ok(false)
            }
        }
    }

    /// SIGKILL. The process is gone for certain then, so nobody has to wait until its lease runs out (15 s in each of hundreds of plans).
    pub(crate) async fn kill_leader(&mut self) -> Result<()> {
        self.installation.kill_controllers();
        self.installation.free_lease().await
    }
}
