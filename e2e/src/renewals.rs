//! Which certificates each leg shows, and how often they were renewed: from the wire where a server presents one, from the Secret where a
//! client uses it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hsm_client::pki;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::installation::{GATEWAY_NAMESPACE, VAULT_NAMESPACE, entry};
use crate::tls::presented;

/// The four legs whose certificates end.
#[derive(Debug)]
pub struct Legs {
    clients: BTreeMap<&'static str, (Api<Secret>, String)>,
    servers: BTreeMap<&'static str, String>,
    seen: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Legs {
    /// Of a cluster by its id, with the addresses of the gateway's HTTPS port and of one HSM's provisioning port.
    #[must_use]
    pub fn of(admin: &Client, cluster_id: &str, https: &str, provisioning: &str) -> Self {
        let secret = |namespace: &str, suffix: &str| {
            (Api::namespaced(admin.clone(), namespace), format!("{cluster_id}-{suffix}"))
        };
        Self {
            clients: BTreeMap::from([
                ("gateway to HSM", secret(GATEWAY_NAMESPACE, "client")),
                ("controllers to HSM", secret(VAULT_NAMESPACE, "controllers-client")),
            ]),
            servers: BTreeMap::from([
                ("client to gateway", https.to_owned()),
                ("provisioning", provisioning.to_owned()),
            ]),
            seen: BTreeMap::new(),
        }
    }

    /// Notes what each leg shows now.
    ///
    /// # Errors
    /// When a Secret or a port does not answer.
    pub async fn look(&mut self) -> Result<()> {
        for (leg, (api, name)) in &self.clients {
            let certificate = entry(&api.get(name).await?, "tls.crt")?;
            self.seen.entry(leg).or_default().insert(hex::encode(pki::certificate_fingerprint(&certificate)?));
        }
        for (leg, address) in self.servers.clone() {
            let fingerprint = tokio::task::spawn_blocking(move || presented(&address)).await??;
            self.seen.entry(leg).or_default().insert(fingerprint);
        }
        Ok(())
    }

    /// Looks until every leg has gone over to another certificate so many times.
    ///
    /// # Errors
    /// When one has not within `patience`; says what the last look found wrong.
    pub async fn until_renewed(&mut self, times: usize, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            // One of some hundred looks may fail for reasons of its own.
            let seen = self.look().await;
            if self.renewed(times) {
                return Ok(());
            }
            let renewals = self.renewals();
            ensure!(Instant::now() < deadline, "not renewed {times} times within {patience:?}: {renewals:?}, {seen:?}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Whether every leg has gone over to another certificate so many times.
    #[must_use]
    pub fn renewed(&self, times: usize) -> bool {
        let renewals = self.renewals();
        renewals.len() == self.clients.len() + self.servers.len() && renewals.values().all(|count| *count >= times)
    }

    /// How often each leg went over to another certificate.
    #[must_use]
    pub fn renewals(&self) -> BTreeMap<&'static str, usize> {
        self.seen.iter().map(|(leg, certificates)| (*leg, certificates.len() - 1)).collect()
    }
}
