//! Sessions to single HSMs with the controllers' own certificate, to see what each of them holds.
//!
//! The certificate and the ring come from the vault namespace, which only an administrator of the cluster may read:
//! tests do, tenants cannot.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use hsm_client::command::{CommandCount, KeyRecord, PasswordChange};
use hsm_client::pki::{CertificateAuthority, PrivateKeyPem};
use hsm_client::{
    ClientIdentity, ClientRole, HsmEndpoint, HsmError, KMS_USER, KeyId, ReturnCode, Session, TrustAnchor,
};
use hsm_initialization::custody::SecretName;
use hsm_initialization::custody::entry::{CUSTOMER_CERTIFICATE, CUSTOMER_KEY};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use operator_api::{CloudHsmCluster, KmsKey};
use zeroize::Zeroizing;

use crate::installation::{GATEWAY_NAMESPACE, VAULT_NAMESPACE, entry};
use crate::scenario::PATIENCE;
use crate::wait::{Look, until};

/// Time limit of one phase of a dial.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The HSMs of one cluster, with what it takes to talk to them.
#[derive(Clone)]
pub struct Hsms {
    identity: Arc<ClientIdentity>,
    anchor: TrustAnchor,
    endpoints: Vec<HsmEndpoint>,
    cluster_id: String,
    officer_password: Zeroizing<String>,
}

impl std::fmt::Debug for Hsms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hsms").field("cluster_id", &self.cluster_id).finish_non_exhaustive()
    }
}

impl Hsms {
    /// Reads certificate, trust anchor and addresses of an ACTIVE cluster.
    ///
    /// # Errors
    /// When one of them is missing.
    pub async fn of(client: &Client, cluster: &CloudHsmCluster) -> Result<Self> {
        let cluster_id = cluster.spec.cluster_id.clone().context("the cluster has no id yet")?;
        let secrets: Api<Secret> = Api::namespaced(client.clone(), VAULT_NAMESPACE);
        let secret = secrets.get(&format!("{cluster_id}-controllers-client")).await?;
        let identity = identity(&secret)?;
        let officer = secrets.get(&format!("{cluster_id}-officer")).await?;
        let officer_password = Zeroizing::new(entry(&officer, "password")?);
        let status = cluster.status.as_ref().context("the cluster has no status")?;
        let anchor = TrustAnchor::parse(status.trust_anchor.as_deref().context("the cluster has no trust anchor")?)?;
        let endpoints = status.hsms.iter().map(endpoint).collect::<Result<Vec<_>>>()?;
        Ok(Self { identity, anchor, endpoints, cluster_id, officer_password })
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The same with the gateway's certificate, which may use keys and command nothing.
    ///
    /// # Errors
    /// When the certificate is missing.
    pub async fn as_the_gateway(&self, client: &Client) -> Result<Self> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), GATEWAY_NAMESPACE);
        let identity = identity(&secrets.get(&format!("{}-client", self.cluster_id)).await?)?;
        Ok(Self { identity, ..self.clone() })
    }

    /// The first `count` HSMs, in the order of the cluster's status, which is that of the pods.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        Self { endpoints: self.endpoints.iter().take(count).cloned().collect(), ..self.clone() }
    }

    /// The endpoints, in the order of the cluster's status.
    #[must_use]
    pub fn endpoints(&self) -> &[HsmEndpoint] {
        &self.endpoints
    }

    /// The same HSMs at other addresses, such as forwarded ports.
    pub fn at(&mut self, addresses: &[SocketAddr]) {
        for (endpoint, address) in self.endpoints.iter_mut().zip(addresses) {
            endpoint.address = *address;
        }
    }

    /// Continues with an owner's certificate, signed with the customer CA's key as the owner of a cluster signs one. Unlike
    /// the controllers, an owner changes users without the leader's fence (P5).
    ///
    /// # Errors
    /// When the vault does not hold the customer CA.
    pub async fn become_owner(&mut self, client: &Client) -> Result<()> {
        let secrets: Api<Secret> = Api::namespaced(client.clone(), VAULT_NAMESPACE);
        let secret = secrets.get(&SecretName::CustomerAuthority.of(&self.cluster_id)).await?;
        let key = PrivateKeyPem::parse(Zeroizing::new(entry(&secret, CUSTOMER_KEY)?))?;
        let authority = CertificateAuthority::load(&entry(&secret, CUSTOMER_CERTIFICATE)?, &key)?;
        let issued = authority.issue_client(ClientRole::Owner, "owner", SystemTime::now())?;
        self.identity = Arc::new(ClientIdentity::from_pem(&issued.certificate, &issued.key)?);
        Ok(())
    }

    /// A session to each HSM, in the order of [`Hsms::endpoints`].
    ///
    /// # Errors
    /// When one cannot be reached or is not the HSM that the status names.
    pub async fn sessions(&self) -> Result<Vec<Session>> {
        let mut sessions = Vec::new();
        for endpoint in &self.endpoints {
            let session = Session::connect(endpoint, &self.identity, &self.anchor, TIMEOUT).await;
            sessions.push(session.with_context(|| format!("failed to reach {}", endpoint.hsm_id))?);
        }
        Ok(sessions)
    }

    /// The same, logged in as the crypto officer, who may list every key and use none (INV-68, HSM-63).
    ///
    /// # Errors
    /// As [`Hsms::sessions`], and when a login is refused.
    pub async fn officer_sessions(&self) -> Result<Vec<Session>> {
        let sessions = self.sessions().await?;
        for session in &sessions {
            let login = session.login("admin", &self.officer_password).await;
            login.with_context(|| format!("failed to log in as officer on {}", session.identity().hsm_id))?;
        }
        Ok(sessions)
    }

    /// What each HSM says of a key, once all of them hold it: two are enough for it to be Enabled, the others get it from them.
    ///
    /// # Errors
    /// When one does not hold it in time.
    pub async fn records_of(&self, key: KeyId) -> Result<Vec<KeyRecord>> {
        let sessions = self.officer_sessions().await?;
        until("every HSM to hold the key", PATIENCE, || async {
            let mut records = Vec::new();
            for session in &sessions {
                match session.read_key(key).await {
                    Ok(record) => records.push(record),
                    Err(error) => return Ok(Look::NotYet(error.to_string())),
                }
            }
            Ok(Look::Done(records))
        })
        .await
    }

    /// How often each HSM has done `command` since its process started, in the order of [`Hsms::endpoints`].
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn done_by_each(&self, command: hsm_protocol::Command) -> Result<Vec<u64>> {
        let mut counts = Vec::new();
        for session in self.sessions().await? {
            counts.push(count_of(&session, command).await?.succeeded);
        }
        Ok(counts)
    }

    /// Waits until each HSM has done `command` since its process started: one that was restarted begins to count anew.
    ///
    /// # Errors
    /// When one has not in time.
    pub async fn each_has_done(&self, command: hsm_protocol::Command) -> Result<()> {
        until(&format!("every HSM to have done {command:?}"), PATIENCE, || async {
            Ok(match self.done_by_each(command).await {
                Ok(counts) if !counts.contains(&0) => Look::Done(()),
                Ok(counts) => Look::NotYet(format!("{counts:?}")),
                Err(error) => Look::NotYet(format!("{error:#}")),
            })
        })
        .await
    }

    /// What a crypto officer does with `changePswd`: a new password for `kmsuser` on each of these HSMs, as soon as nobody is logged in as it
    /// (HSM-45, HSM-46). `number` must be another one each time.
    ///
    /// # Errors
    /// When an HSM refuses, or somebody stays logged in.
    pub async fn officer_sets_password(&self, password: &str, number: u64) -> Result<()> {
        for officer in self.officer_sessions().await? {
            let fence = officer.acquire_fence("a crypto officer").await?;
            until("kmsuser to be logged out", PATIENCE, || async {
                let epoch = officer.user_info(KMS_USER).await?.context("no kmsuser")?.epoch;
                let op_id = (u128::MAX - u128::from(number)).to_be_bytes();
                let (user, expected_epoch, new_epoch) = (KMS_USER, epoch, epoch + 1);
                let change = PasswordChange { user, new_password: password, expected_epoch, new_epoch, op_id, fence };
                match officer.change_password(change).await {
                    Ok(_) => Ok(Look::Done(())),
                    Err(HsmError::Refused(ReturnCode::UserBusy)) => Ok(Look::NotYet("logged in".to_owned())),
                    Err(error) => Err(error.into()),
                }
            })
            .await
            .with_context(|| officer.identity().hsm_id.clone())?;
        }
        Ok(())
    }
}

/// How many logins the HSM has refused since it started. Not the user's failure count: that is 1 while a login is being verified (INV-62), and
/// 0 after the next success.
///
/// # Errors
/// As any command.
pub async fn refused_logins(session: &Session) -> Result<u64> {
    let commands = session.hsm_info().await?.commands;
    let logins = commands.iter().filter(|count| count.command == hsm_protocol::Command::Login as u32);
    Ok(logins.map(|count| count.refused).sum())
}

/// The id by which the HSMs know a key.
///
/// # Errors
/// When the key has none yet.
pub fn id_of(key: &KmsKey) -> Result<KeyId> {
    let id = uuid::Uuid::parse_str(key.spec.key_id.as_deref().context("the key has no id")?)?;
    Ok(KeyId(*id.as_bytes()))
}

fn identity(secret: &Secret) -> Result<Arc<ClientIdentity>> {
    let key = PrivateKeyPem::parse(Zeroizing::new(entry(secret, "tls.key")?))?;
    Ok(Arc::new(ClientIdentity::from_pem(&entry(secret, "tls.crt")?, &key)?))
}

/// How often an HSM has answered `command` since its process started.
///
/// # Errors
/// When the HSM does not say.
pub async fn count_of(session: &Session, command: hsm_protocol::Command) -> Result<CommandCount> {
    let command = command as u32;
    let counted = session.hsm_info().await?.commands.into_iter().find(|count| count.command == command);
    Ok(counted.unwrap_or(CommandCount { command, succeeded: 0, refused: 0 }))
}

fn endpoint(hsm: &operator_api::cloud_hsm_cluster::Hsm) -> Result<HsmEndpoint> {
    let fingerprint = |text: &str| -> Result<[u8; 32]> {
        let bytes = hex::decode(text)?;
        bytes.try_into().map_err(|_| anyhow::anyhow!("a fingerprint that is not 32 bytes long"))
    };
    let address = hsm.eni_ip.as_deref().context("an HSM without an address")?;
    let host = hsm.host_certificate_fingerprint.as_deref().context("an HSM without a host certificate")?;
    Ok(HsmEndpoint {
        hsm_id: hsm.hsm_id.clone(),
        availability_zone: hsm.availability_zone.clone(),
        address: SocketAddr::new(address.parse()?, 2223),
        identity_fingerprint: fingerprint(&hsm.identity_fingerprint)?,
        host_certificate_fingerprint: fingerprint(host)?,
    })
}
