//! Sessions to the HSMs of a store's cluster: with the controllers' certificate, trusting only the store's anchor (spec 2.6 step 7).

use std::sync::Arc;

use futures::future;
use hsm_client::{ClientIdentity, ConnectError, Session, TrustAnchor, pki::PrivateKeyPem};
use hsm_initialization::{
    SecretName,
    custody::entry::{CERTIFICATE, PRIVATE_KEY},
};
use zeroize::Zeroizing;

use super::{error::StoreError, members::Member};
use crate::{certificate::gateway_client, context::Context, report::Controller};

/// What a session is opened with.
#[derive(Clone)]
pub(super) struct Access {
    identity: Arc<ClientIdentity>,
    anchor: Arc<TrustAnchor>,
}

/// An HSM and what became of dialling it.
pub(super) struct Dialled {
    /// The HSM.
    pub(super) member: Member,
    /// The session; `None` in the error when there is no address to dial.
    pub(super) outcome: Result<Session, Option<ConnectError>>,
}

/// Reads the controllers' client certificate of the cluster.
///
/// # Errors
/// [`StoreError::Custody`] while it has not been issued.
pub(super) async fn access(context: &Context, cluster_id: &str, anchor_pem: &str) -> Result<Access, StoreError> {
    let name = SecretName::ControllersClient.of(cluster_id);
    let wrong = |problem: &str| StoreError::Custody { name: name.clone(), problem: problem.to_owned() };
    let secrets = context.secrets(Controller::CustomKeyStore);
    let stored = secrets.read(&context.namespaces().vault, &name).await?.ok_or_else(|| wrong("it is missing"))?;
    let entry = |key: &str| stored.data.text(key).ok_or_else(|| wrong(&format!("entry {key} is missing")));
    let key = PrivateKeyPem::parse(Zeroizing::new(entry(PRIVATE_KEY)?.to_owned()));
    let key = key.map_err(|error| wrong(&error.to_string()))?;
    let identity = ClientIdentity::from_pem(entry(CERTIFICATE)?, &key).map_err(|error| wrong(&error.to_string()))?;
    let anchor = TrustAnchor::parse(anchor_pem).map_err(|error| wrong(&error.to_string()))?;
    Ok(Access { identity: Arc::new(identity), anchor: Arc::new(anchor) })
}

/// Dials all members at once; the order of the answer is the order of the members.
pub(super) async fn dial_all(context: &Context, access: &Access, members: Vec<Member>) -> Vec<Dialled> {
    future::join_all(members.into_iter().map(|member| dial(context, access, member))).await
}

async fn dial(context: &Context, access: &Access, member: Member) -> Dialled {
    let outcome = match &member.endpoint {
        None => Err(None),
        Some(endpoint) => {
            let connect = Session::connect(endpoint, &access.identity, &access.anchor, context.settings.hsm_timeout);
            connect.await.map_err(Some)
        }
    };
    Dialled { member, outcome }
}

/// The public keys that the gateway of this cluster authenticates with, will, and may still do (D12).
///
/// # Errors
/// [`StoreError::Custody`] while its certificate has not been issued.
pub(super) async fn delegates(context: &Context, cluster_id: &str) -> Result<Vec<[u8; 32]>, StoreError> {
    let name = gateway_client::name(cluster_id);
    let wrong = |problem: &str| StoreError::Custody { name: name.clone(), problem: problem.to_owned() };
    let secrets = context.secrets(Controller::CustomKeyStore);
    let stored = secrets.read(&context.namespaces().gateway, &name).await?.ok_or_else(|| wrong("it is missing"))?;
    gateway_client::delegates(&name, &stored.data).map_err(|error| wrong(&error.to_string()))
}
