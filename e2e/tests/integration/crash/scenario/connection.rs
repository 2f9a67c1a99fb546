//! Connect, disconnect, and the rotation that begins with a password of the owner's (P1).

use anyhow::{Result, ensure};
use e2e::manifests::apply;
use e2e::quickstart::NAME;
use e2e::scenario::{PATIENCE, password_secret};
use e2e::wait::{Look, until};
use operator_api::ConnectionState;
use operator_controllers::effect::Site;
use serde_json::{Value, json};

use super::Scenario;
use crate::crash::bench::Bench;
use crate::crash::snapshot;

pub(crate) const CONNECT: &[Site] = &[
    Site::ConnectFence,
    Site::ConnectClaimCluster,
    Site::ConnectDropEarlier,
    Site::ConnectRingIntent,
    Site::ConnectLogin,
    Site::ConnectChangePassword,
    Site::ConnectLogout,
    Site::ConnectProof,
    Site::ConnectRingCommit,
    Site::ConnectRegisterDelegates,
    Site::StoreStatus,
];
pub(crate) const DISCONNECT: &[Site] = &[Site::DisconnectDropGeneration, Site::DisconnectLogout, Site::StoreStatus];
pub(crate) const ROTATE: &[Site] = &[
    Site::ConnectRingIntent,
    Site::ConnectLogin,
    Site::ConnectChangePassword,
    Site::ConnectLogout,
    Site::ConnectProof,
    Site::ConnectRingCommit,
];

/// DISCONNECTED → CONNECTED.
pub(crate) struct Connect;

impl Scenario for Connect {
    fn name(&self) -> String {
        "connect".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        CONNECT
    }

    async fn prepare(&self, bench: &mut Bench, _run: usize) -> Result<()> {
        bench.tenant.disconnect(NAME).await
    }

    async fn ask(&self, bench: &Bench, _run: usize) -> Result<()> {
        bench.tenant.want_connection(NAME, "CONNECTED").await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        connected(bench).await
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        snapshot::connection(bench).await
    }
}

/// CONNECTED → DISCONNECTED.
pub(crate) struct Disconnect;

impl Scenario for Disconnect {
    fn name(&self) -> String {
        "disconnect".to_owned()
    }

    fn sites(&self) -> &'static [Site] {
        DISCONNECT
    }

    async fn prepare(&self, bench: &mut Bench, _run: usize) -> Result<()> {
        bench.tenant.connect(NAME).await
    }

    async fn ask(&self, bench: &Bench, _run: usize) -> Result<()> {
        bench.tenant.want_connection(NAME, "DISCONNECTED").await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        bench.tenant.store_reaches(NAME, ConnectionState::Disconnected).await.map(|_| ())
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        snapshot::connection(bench).await
    }
}

/// A connect after an officer changed `kmsuser`'s password on some HSMs, with the new one supplied (seed procedure; P1, "CO changed it").
pub(crate) struct Supplied {
    hsms: usize,
}

impl Supplied {
    /// The officer changes it on so many HSMs.
    pub(crate) fn on(hsms: usize) -> Self {
        Self { hsms }
    }

    fn password(&self, run: usize) -> String {
        format!("officers{}choice{run}", self.hsms)
    }
}

impl Scenario for Supplied {
    fn name(&self) -> String {
        format!("rotation after an officer's change on {} HSMs", self.hsms)
    }

    fn sites(&self) -> &'static [Site] {
        ROTATE
    }

    async fn prepare(&self, bench: &mut Bench, _run: usize) -> Result<()> {
        bench.tenant.disconnect(NAME).await
    }

    async fn ask(&self, bench: &Bench, run: usize) -> Result<()> {
        let password = self.password(run);
        bench.hsms.first(self.hsms).officer_sets_password(&password, u64::try_from(run * 10 + self.hsms)?).await?;
        apply(&bench.client, &password_secret(NAME, "supplied", &password)).await?;
        let reference = json!({ "name": "supplied", "key": "password" });
        let spec = json!({ "connection": "CONNECTED", "keyStorePasswordSecretRef": reference });
        bench.tenant.patch_store(NAME, json!({ "spec": spec })).await
    }

    async fn finished(&self, bench: &Bench, _run: usize) -> Result<()> {
        connected(bench).await
    }

    async fn snapshot(&self, bench: &Bench, _run: usize) -> Result<Value> {
        snapshot::connection(bench).await
    }
}

/// CONNECTED with every HSM in service. FAILED on the way is a false alarm: nothing of what the owner gave is wrong.
pub(crate) async fn connected(bench: &Bench) -> Result<()> {
    let stores = bench.tenant.stores();
    until("the store to be CONNECTED", PATIENCE, || async {
        let status = stores.get(NAME).await?.status.unwrap_or_default();
        ensure!(status.connection_state != Some(ConnectionState::Failed), "FAILED: {:?}", status.last_connection_error);
        let pending = status.conditions.iter().any(|condition| condition.type_ == "CredentialsPending");
        Ok(if status.connection_state == Some(ConnectionState::Connected) && !pending {
            Look::Done(())
        } else {
            Look::NotYet(format!("{:?}, pending: {pending}", status.connection_state))
        })
    })
    .await
}

/// The store is connected or is brought there.
pub(crate) async fn in_state_connected(bench: &Bench) -> Result<()> {
    bench.tenant.want_connection(NAME, "CONNECTED").await?;
    bench.tenant.store_reaches(NAME, ConnectionState::Connected).await.map(|_| ())
}
