//! Ways into a cluster: endpoints, sessions by role, certificates, and waiting until its HSMs agree.

use super::cluster::{Cluster, PATIENCE};
use hsm_client::command::HsmState;
use hsm_client::pki::{CertificateAuthority, ClientRole, Issued, PrivateKeyPem};
use hsm_client::{ClientIdentity, HsmEndpoint, KMS_USER, OFFICER, Session, TrustAnchor};
use hsm_initialization::custody::entry;
use hsm_initialization::ring::Ring;
use hsm_initialization::{Fencing, SecretName};
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroizing;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

impl Cluster {
    /// Endpoints of all HSMs, which are assigned and running, as [`Cluster::endpoint`] finds each.
    pub async fn endpoints(&self) -> Vec<HsmEndpoint> {
        let mut endpoints = Vec::new();
        for index in 0..self.pods.len() {
            endpoints.push(self.endpoint(index).await);
        }
        endpoints
    }

    /// Endpoint of one pod's HSM, which is assigned and running: looked for again when a look found nothing, because the procedure's three
    /// seconds for a dial can pass on a busy machine.
    pub async fn endpoint(&self, index: usize) -> HsmEndpoint {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let observed = self.observe().await;
            if let Some(endpoint) = observed.hsms[index].endpoint() {
                return endpoint;
            }
            assert!(Instant::now() < deadline, "not assigned or not running: {observed:#?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The controllers' session to one pod's HSM, tried again as [`Cluster::endpoint`] is.
    pub async fn session(&self, index: usize) -> Session {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let endpoint = self.endpoint(index).await;
            match self.procedure().session(&self.pods[index].files.pod_name, &endpoint).await {
                Ok(session) => return session,
                Err(error) => assert!(Instant::now() < deadline, "does not connect: {error:?}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A session with `kmsuser` logged in.
    pub async fn kmsuser(&self, index: usize) -> Session {
        let session = self.session(index).await;
        session.login(KMS_USER, self.kmsuser_password().as_str()).await.expect("logs in");
        session
    }

    /// A session with the officer logged in.
    pub async fn officer(&self, index: usize) -> Session {
        let session = self.session(index).await;
        session.login(OFFICER, &self.officer_password()).await.expect("logs in");
        session
    }

    /// The crypto officer's password.
    pub fn officer_password(&self) -> Zeroizing<String> {
        Zeroizing::new(self.custody.text(SecretName::Officer, entry::OFFICER_PASSWORD))
    }

    /// Epoch 1 of the ring.
    pub fn kmsuser_password(&self) -> Zeroizing<String> {
        let ring = Ring::parse(&self.custody.bytes(SecretName::Ring, entry::RING));
        let Ok(ring) = ring else { panic!("no ring") };
        Zeroizing::new(ring.active().expect("active").password.expose().to_owned())
    }

    /// This operator's fence on the session's HSM.
    pub async fn fence(&self, session: &Session) -> u64 {
        self.fences.fence_on(session).await.expect("has a fence")
    }

    /// The cluster's trust anchor.
    pub fn anchor(&self) -> TrustAnchor {
        TrustAnchor::parse(&self.custody.text(SecretName::CustomerAuthority, entry::CUSTOMER_CERTIFICATE))
            .expect("parses")
    }

    /// The customer CA.
    pub fn customer_authority(&self) -> CertificateAuthority {
        let secret = SecretName::CustomerAuthority;
        let key = PrivateKeyPem::parse(Zeroizing::new(self.custody.text(secret, entry::CUSTOMER_KEY)));
        let certificate = self.custody.text(secret, entry::CUSTOMER_CERTIFICATE);
        CertificateAuthority::load(&certificate, &key.expect("key")).expect("loads")
    }

    fn issue(&self, role: ClientRole) -> Issued {
        self.customer_authority().issue_client(role, "test", SystemTime::now()).expect("issues")
    }

    /// A client identity of this cluster.
    pub fn identity(&self, role: ClientRole) -> ClientIdentity {
        let issued = self.issue(role);
        ClientIdentity::from_pem(&issued.certificate, &issued.key).expect("reads")
    }

    /// Waits until every HSM is active and no key is missing anywhere.
    pub async fn settled(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut counts = Vec::new();
            for index in 0..self.pods.len() {
                let session = self.session(index).await;
                let info = session.hsm_info().await.expect("reads");
                let compared = info.peers_reached + 1 >= info.roster_size;
                counts.push((info.state, info.key_count, info.under_replicated_keys, compared));
            }
            let equal = counts.iter().all(|count| count.1 == counts[0].1);
            if equal && counts.iter().all(|count| count.0 == HsmState::Active && count.2 == 0 && count.3) {
                return;
            }
            assert!(Instant::now() < deadline, "not settled: {counts:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}
