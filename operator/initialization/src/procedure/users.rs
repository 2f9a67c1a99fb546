//! Users that the operator makes: the officer (activation) and `kmsuser`, and the ring before it.

use super::Procedure;
use crate::custody::{Custody, SecretEntries, SecretName, entry};
use crate::error::InitializationError;
use crate::fence::Fencing;
use crate::observed::ObservedHsm;
use crate::password::{Password, random_op_id};
use crate::ring::{Ring, RingError};
use hsm_client::command::{NewUser, PasswordChange, UserType};
use hsm_client::{KMS_USER, OFFICER, OpId, Session};

/// Failed logins of the officer in a row after which the operator makes no other: of the five that lock a user two are left to people. Not
/// fewer, because a login that a crash cuts off counts as a failed one (INV-62).
const MOST_FAILURES: u32 = 3;

impl<C: Custody, F: Fencing> Procedure<'_, C, F> {
    /// Changes the pre-crypto officer's password, which activates the cluster (spec 1.3, step 6).
    pub(super) async fn activate(&self, hsm: &ObservedHsm) -> Result<(), InitializationError> {
        let pod = &hsm.pod.pod_name;
        let secret = SecretName::Officer;
        let officer = self.secret(secret).await?;
        let preco = officer.password(secret, entry::PRECO_PASSWORD)?;
        let password = officer.password(secret, entry::OFFICER_PASSWORD)?;
        let op_id = op_id(officer.text(secret, entry::OFFICER_OP_ID)?)?;
        let session = self.open(hsm).await?;
        spare_the_officer(pod, &session).await?;
        let login = session.login(OFFICER, preco.expose()).await;
        let epoch = login.map_err(InitializationError::hsm(pod, "log in as the pre-crypto officer"))?.epoch;
        let change = PasswordChange {
            user: OFFICER,
            new_password: password.expose(),
            expected_epoch: epoch,
            new_epoch: epoch + 1,
            op_id,
            fence: self.fence(pod, &session).await?,
        };
        session.change_password(change).await.map_err(InitializationError::hsm(pod, "activate the cluster")).map(drop)
    }

    pub(super) async fn make_ring(&self) -> Result<(), InitializationError> {
        let ring = Ring::first(Password::generate()?, random_op_id()?);
        let entries = SecretEntries::default().with(entry::RING, ring.encode().as_slice());
        let kept = self.keep(SecretName::Ring, entries).await?;
        read_ring(&kept).map(drop)
    }

    /// Creates `kmsuser` with the ring's active password, at its epoch and under its operation id: sent twice, it is
    /// one operation.
    pub(super) async fn create_kmsuser(&self, hsm: &ObservedHsm) -> Result<(), InitializationError> {
        let pod = &hsm.pod.pod_name;
        let ring = read_ring(&self.secret(SecretName::Ring).await?)?;
        let active = ring.active().ok_or(RingError::Rule("it has no active entry"))?;
        let officer = self.secret(SecretName::Officer).await?;
        let password = officer.password(SecretName::Officer, entry::OFFICER_PASSWORD)?;
        let session = self.open(hsm).await?;
        spare_the_officer(pod, &session).await?;
        let login = session.login(OFFICER, password.expose()).await;
        login.map_err(InitializationError::hsm(pod, "log in as the officer"))?;
        let user = NewUser {
            user: KMS_USER,
            user_type: UserType::Cu,
            password: active.password.expose(),
            epoch: active.epoch,
            op_id: active.op_id,
            fence: self.fence(pod, &session).await?,
        };
        session.create_user(user).await.map_err(InitializationError::hsm(pod, "create kmsuser"))
    }

    async fn open(&self, hsm: &ObservedHsm) -> Result<Session, InitializationError> {
        let pod = &hsm.pod.pod_name;
        let endpoint = hsm.endpoint().ok_or_else(|| InitializationError::UnknownPod(pod.clone()))?;
        self.session(pod, &endpoint).await
    }

    async fn fence(&self, pod: &str, session: &Session) -> Result<u64, InitializationError> {
        let none = |source: crate::fence::NoFence| InitializationError::Fence { pod: pod.to_owned(), reason: source.0 };
        self.fencing.fence_on(session).await.map_err(none)
    }
}

/// The officer's owner may have changed its password: a step that is tried again for ever must not lock it.
async fn spare_the_officer(pod: &str, session: &Session) -> Result<(), InitializationError> {
    let officer =
        session.user_info(OFFICER).await.map_err(InitializationError::hsm(pod, "read the officer's state"))?;
    match officer.filter(|officer| officer.locked || officer.failures >= MOST_FAILURES) {
        Some(officer) => Err(InitializationError::OfficerRefused { pod: pod.to_owned(), failures: officer.failures }),
        None => Ok(()),
    }
}

fn read_ring(entries: &SecretEntries) -> Result<Ring, InitializationError> {
    let missing = InitializationError::SecretMalformed { secret: SecretName::Ring, entry: entry::RING };
    Ok(Ring::parse(entries.bytes(entry::RING).ok_or(missing)?)?)
}

fn op_id(text: &str) -> Result<OpId, InitializationError> {
    let malformed = InitializationError::SecretMalformed { secret: SecretName::Officer, entry: entry::OFFICER_OP_ID };
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).map_err(|_| malformed)?;
    Ok(id)
}
