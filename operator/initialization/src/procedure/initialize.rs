//! The one initialisation: officer passwords first, then the signed certificate.

use super::Procedure;
use crate::custody::{Custody, SecretEntries, SecretName, entry};
use crate::error::InitializationError;
use crate::fence::Fencing;
use crate::observed::ObservedHsm;
use crate::password::{Password, random_op_id};
use std::time::SystemTime;

impl<C: Custody, F: Fencing> Procedure<'_, C, F> {
    /// Both passwords are durable before the HSM learns the first one: a crash between Initialize and the change finds
    /// either of them here.
    pub(super) async fn make_officer(&self) -> Result<(), InitializationError> {
        let entries = SecretEntries::default()
            .with(entry::PRECO_PASSWORD, Password::generate()?.expose())
            .with(entry::OFFICER_PASSWORD, Password::generate()?.expose())
            .with(entry::OFFICER_OP_ID, hex::encode(random_op_id()?));
        self.keep(SecretName::Officer, entries).await.map(drop)
    }

    /// Signs a fresh certificate each time: if an earlier attempt was lost after it took effect, the HSM holds that
    /// one's certificate, the next observation finds it, and this step is not chosen again.
    pub(super) async fn initialize(&self, hsm: &ObservedHsm) -> Result<(), InitializationError> {
        let pod = &hsm.pod.pod_name;
        let authority = self.customer_authority().await?;
        let officer = self.secret(SecretName::Officer).await?;
        let preco = officer.password(SecretName::Officer, entry::PRECO_PASSWORD)?;
        let session = self.provisioning(hsm).await?;
        let request = session.csr().await.map_err(InitializationError::hsm(pod, "read the certificate request"))?;
        let certificate = authority.sign_csr(&request.csr, SystemTime::now())?;
        session
            .initialize(&certificate, authority.certificate(), preco.expose())
            .await
            .map_err(InitializationError::hsm(pod, "initialise the cluster"))
    }
}
