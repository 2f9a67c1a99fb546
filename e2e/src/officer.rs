//! The crypto officer's part in the life of a store: a new password for a `kmsuser` that is locked out (SCN-3, HSM-42).
//!
//! The officer uses the owner's certificate and the officer's password, both of which an owner finds in the vault
//! namespace, and sets the password on every HSM: users are not synchronised between them.

use anyhow::{Context, Result};
use hsm_client::command::PasswordChange;
use hsm_client::{KMS_USER, Session};
use hsm_initialization::password::{Password, random_op_id};

use crate::cluster::Cluster;
use crate::forward::reach;
use crate::scenario::{Tenant, password_secret};

/// The Secret in which the owner hands the new password over.
pub const SECRET: &str = "from-the-officer";

/// The whole cure short of connecting: `changePswd CU kmsuser` on every HSM, and the password into the store. The store must be
/// disconnected, because a user who is logged in cannot be changed (HSM-46).
///
/// # Errors
/// When an HSM cannot be reached or refuses.
pub async fn cure(cluster: &Cluster, tenant: &Tenant, name: &str) -> Result<Password> {
    let client = cluster.admin().await?;
    let mut reached = reach(cluster, &tenant.cluster_is_active(name).await?).await?;
    reached.hsms.become_owner(&client).await?;
    let password = Password::generate()?;
    change_on_each(&reached.hsms.officer_sessions().await?, &password).await?;
    cluster.apply(&password_secret(tenant.namespace(), SECRET, password.expose()))?;
    tenant.supply_password(name, SECRET).await?;
    Ok(password)
}

async fn change_on_each(officers: &[Session], password: &Password) -> Result<()> {
    let op_id = random_op_id()?;
    let mut epochs = Vec::new();
    for officer in officers {
        epochs.push(officer.user_info(KMS_USER).await?.context("there is no kmsuser")?.epoch);
    }
    let new_epoch = epochs.iter().copied().max().unwrap_or_default() + 1;
    for (officer, expected_epoch) in officers.iter().zip(epochs) {
        let new_password = password.expose();
        let change = PasswordChange { user: KMS_USER, new_password, expected_epoch, new_epoch, op_id, fence: 0 };
        let changed = officer.change_password(change).await;
        changed.with_context(|| format!("failed to change the password on {}", officer.identity().hsm_id))?;
    }
    Ok(())
}
