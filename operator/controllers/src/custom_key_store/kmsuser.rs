//! One HSM's `kmsuser`, as this process sees and changes it: the steps of P1 that act on an HSM. What step comes next the core decides.

use hsm_client::{
    HsmError, ReturnCode, Session,
    command::{PasswordChange, UserInfo},
};
use hsm_initialization::ring::{EntryState as Stored, Ring};
use hsm_protocol::labels::KMS_USER;
use operator_domain::{
    connection::kmsuser::{UserReport, UserType},
    rotation::{self, EntryState, HsmCredential, InvalidRing, RingEntry},
};

use super::{
    delegates::{self, CommandError},
    error::StoreError,
};
use crate::{
    context::Context,
    effect::{self, Site},
};

/// A session to one HSM, what it says about `kmsuser`, and what was proved there.
pub(super) struct Hsm {
    pub(super) hsm_id: String,
    pub(super) session: Session,
    pub(super) info: UserInfo,
    /// Epoch of the login that this session has.
    proved: Option<u64>,
}

impl Hsm {
    /// Before any login.
    pub(super) fn new(session: Session, info: UserInfo) -> Self {
        Self { hsm_id: session.identity().hsm_id.clone(), session, info, proved: None }
    }

    /// For the core; `None` if the HSM's id is none.
    pub(super) fn credential(&self) -> Option<HsmCredential> {
        Some(HsmCredential {
            hsm_id: self.hsm_id.parse().ok()?,
            epoch: self.info.epoch,
            last_op_id: hex::encode(&self.info.last_op_id),
            locked: self.info.locked,
            session: self.proved,
        })
    }

    /// Logs in; a login that the session already has ends first.
    pub(super) async fn log_in(&mut self, context: &Context, password: &str) -> Result<(), CommandError> {
        context.leader.check().map_err(StoreError::from)?;
        let site = if self.proved.is_some() { Site::ConnectProof } else { Site::ConnectLogin };
        if self.proved.take().is_some() {
            effect::at(Site::ConnectLogout, self.session.logout()).await.map_err(CommandError::Hsm)?;
        }
        let logged_in = effect::at(site, self.session.login(KMS_USER, password)).await.map_err(CommandError::Hsm)?;
        self.proved = Some(logged_in.epoch);
        Ok(())
    }

    /// Changes the password of the logged-in user by compare-and-set. If another hand was faster the HSM is asked anew (INV-23).
    pub(super) async fn change(
        &mut self,
        context: &Context,
        expected: u64,
        target: &hsm_initialization::ring::RingEntry,
    ) -> Result<(), CommandError> {
        let session = &self.session;
        let change = async |fence| {
            let change = PasswordChange {
                user: KMS_USER,
                new_password: target.password.expose(),
                expected_epoch: expected,
                new_epoch: target.epoch,
                op_id: target.op_id,
                fence,
            };
            session.change_password(change).await
        };
        match delegates::commanded(context, session, Site::ConnectChangePassword, change).await {
            Ok(epoch) => {
                self.info.epoch = epoch;
                self.info.last_op_id = target.op_id.to_vec();
                Ok(())
            }
            Err(CommandError::Hsm(HsmError::Refused(ReturnCode::EpochMismatch))) => self.look_again().await,
            Err(error) => Err(error),
        }
    }

    async fn look_again(&mut self) -> Result<(), CommandError> {
        let gone = HsmError::Refused(ReturnCode::UserNotFound);
        self.info =
            self.session.user_info(KMS_USER).await.map_err(CommandError::Hsm)?.ok_or(CommandError::Hsm(gone))?;
        Ok(())
    }
}

/// What an HSM reports, for the questions before the login.
pub(super) fn report(info: Option<&UserInfo>) -> UserReport {
    use hsm_client::command::UserType as Wire;
    let Some(info) = info else { return UserReport::Missing };
    let user_type = match info.user_type {
        Wire::Cu => UserType::CryptoUser,
        Wire::Co => UserType::CryptoOfficer,
        Wire::Preco | Wire::Unspecified => UserType::PreCryptoOfficer,
    };
    UserReport::Present { user_type, locked: info.locked, foreign_sessions: info.foreign_sessions }
}

/// The ring without its passwords, for the core.
///
/// # Errors
/// A ring that its transitions cannot have made.
pub(super) fn without_passwords(ring: &Ring) -> Result<rotation::Ring, InvalidRing> {
    let entry = |entry: &hsm_initialization::ring::RingEntry| RingEntry {
        epoch: entry.epoch,
        state: match entry.state {
            Stored::Intent => EntryState::Intent,
            Stored::Active => EntryState::Active,
            Stored::Retired => EntryState::Retired,
        },
        op_id: hex::encode(entry.op_id),
    };
    rotation::Ring::new(ring.entries().iter().map(entry).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hsm_initialization::password::Password;

    #[test]
    fn the_core_sees_epochs_and_operations_of_the_ring() {
        let mut ring = Ring::first(Password::generate().unwrap(), [1; 16]);
        ring.add_intent(Password::generate().unwrap(), [2; 16], 4).unwrap();
        let core = without_passwords(&ring).unwrap();
        assert_eq!(core.active().map(|entry| entry.epoch), Some(1));
        assert_eq!(core.intent().map(|entry| entry.op_id.as_str()), Some("02".repeat(16).as_str()));
        assert_eq!(core.highest_epoch(), 5);
    }

    /// CKS-42.
    #[test]
    fn only_a_crypto_user_is_a_kmsuser() {
        use hsm_client::command::UserType as Wire;
        let info = |user_type| UserInfo {
            user_type,
            epoch: 1,
            failures: 0,
            locked: false,
            foreign_sessions: 0,
            last_op_id: Vec::new(),
        };
        let fits =
            |user_type| operator_domain::connection::kmsuser::may_log_in(&[report(Some(&info(user_type)))]).is_ok();
        assert!(fits(Wire::Cu));
        for other in [Wire::Co, Wire::Preco, Wire::Unspecified] {
            assert!(!fits(other), "{other:?}");
        }
        assert_eq!(report(None), UserReport::Missing);
    }
}
