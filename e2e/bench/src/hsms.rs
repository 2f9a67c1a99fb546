//! Three real hsm-sim processes, initialised as the controllers do it, with one key and one delegate.

use anyhow::{Context, Result};
use hsm_client::ClientRole;
use hsm_initialization::SecretName;
use hsm_initialization::custody::entry;
use hsm_test_cluster::Cluster;
use hsm_test_cluster::keys::{STORE, connected};
use tokio::runtime::Builder;
use uuid::Uuid;

use crate::gateway;

/// The HSMs of a run; they end with this value.
pub(crate) struct Hsms {
    cluster: Cluster,
    /// The key on all of them.
    pub(crate) key_id: Uuid,
    /// What a delegate needs to use it.
    pub(crate) access: gateway::Hsms,
}

impl Hsms {
    /// Starts and initialises them; takes some seconds.
    ///
    /// # Errors
    /// When this thread gets no runtime, or `hsm-sim` does not lie beside this program.
    pub(crate) fn start() -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("hsm-sim");
        anyhow::ensure!(program.exists(), "{} is missing: run `make bench`, which builds it", program.display());
        Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(Self::initialise())
    }

    async fn initialise() -> Result<Self> {
        let cluster = Cluster::active().await;
        let now = std::time::SystemTime::now();
        let issued = cluster.customer_authority().issue_client(ClientRole::Gateway, "bench", now)?;
        let mut access = gateway::Hsms {
            certificate: issued.certificate,
            key: issued.key.expose().to_owned(),
            trust_anchor: cluster.custody.text(SecretName::CustomerAuthority, entry::CUSTOMER_CERTIFICATE),
            store_id: STORE.to_owned(),
            generation: 1,
            endpoints: Vec::new(),
        };
        let key_id = Uuid::from_bytes(connected(&cluster, &access.identity()?).await.0);
        cluster.settled().await;
        access.endpoints = cluster.endpoints().await.into_iter().map(Into::into).collect();
        anyhow::ensure!(access.endpoints.len() == 3, "an HSM has no endpoint");
        Ok(Self { cluster, key_id, access })
    }

    /// Ids of the processes.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        self.cluster.process_ids()
    }

    /// Id of the first process.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn first_process(&self) -> Result<u32> {
        self.process_ids().first().copied().context("the first HSM has ended")
    }
}
