//! Which account a namespace is: found, or decided once by a claim and then made (D1, P3).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use kube::{
    Api, ResourceExt,
    api::{ListParams, ObjectMeta},
};
use operator_api::{
    ClaimPurpose, KeystoreAccount, KeystoreAccountSpec, KeystoreClaimSpec, RecordedKind, RecoveryRecord,
};

use crate::{
    claim::{self, ClaimError},
    context::Context,
    effect::{self, Site},
    random::{self, NoRandomness},
    recovery::{self, RecoveryError},
    report::{Controller, Failure, Retry},
    write::WriteError,
};

/// Why the account of a namespace is not known.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The API server did not answer.
    #[error("failed to read accounts")]
    Read(#[source] kube::Error),
    /// See [`ClaimError`].
    #[error(transparent)]
    Claim(#[from] ClaimError),
    /// See [`WriteError`].
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The claimed id belongs to another namespace: an admin gave it away between the claim and the account.
    #[error(
        "failed to make account {id}: it belongs to another namespace; delete KeystoreClaim {claim} to draw another id"
    )]
    Taken {
        /// The account id.
        id: String,
        /// The claim that holds it.
        claim: String,
    },
    /// See [`NoRandomness`].
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// See [`RecoveryError`].
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

impl Failure for AccountError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Read(_) => "ApiUnavailable",
            Self::Claim(error) => error.reason(),
            Self::Write(error) => error.reason(),
            Self::Taken { .. } => "AccountTaken",
            Self::NoRandomness(_) => "NoRandomness",
            Self::Recovery(error) => error.reason(),
        }
    }

    fn retry(&self) -> Retry {
        Retry::Backoff
    }
}

/// Accounts found so far. An account is bound to its namespace for ever, so an answer stays true.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<Mutex<HashMap<String, String>>>);

impl Accounts {
    fn find(&self, namespace: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    fn keep(&self, namespace: &str, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(namespace.to_owned(), id.to_owned());
    }
}

/// The 12-digit account id of `namespace`; makes the account if there is none. Idempotent, also across crashes and other writers: the id is
/// decided by one claim, an account that an admin made before counts, and one that was recorded and is gone comes back with its old id (D1, D5).
///
/// # Errors
/// [`AccountError`]; the next try goes on where this one stopped.
pub async fn account_of(context: &Context, namespace: &str) -> Result<String, AccountError> {
    if let Some(id) = context.accounts.find(namespace) {
        return Ok(id);
    }
    let api = Api::<KeystoreAccount>::all(context.client.clone());
    let fields = ListParams::default().fields(&format!("spec.namespace={namespace}"));
    let present = api.list(&fields).await.map_err(AccountError::Read)?.items;
    let account = match oldest(present) {
        Some(account) => account,
        None => make(context, &api, namespace).await?,
    };
    let record = RecoveryRecord::of(RecordedKind::KeystoreAccount, &account);
    recovery::keep(context, Controller::KeystoreAccount, Site::AccountRecord, &record).await?;
    let id = account.name_any();
    context.accounts.keep(namespace, &id);
    Ok(id)
}

/// The account that counts for a namespace: the oldest, and of equally old ones the first by name.
pub(super) fn oldest(accounts: Vec<KeystoreAccount>) -> Option<KeystoreAccount> {
    let age = |account: &KeystoreAccount| (account.creation_timestamp().map(|time| time.0), account.name_any());
    accounts.into_iter().min_by_key(age)
}

async fn make(context: &Context, api: &Api<KeystoreAccount>, namespace: &str) -> Result<KeystoreAccount, AccountError> {
    let name = claim::account_name(namespace);
    let proposed = match recovery::former_identity(context, RecordedKind::KeystoreAccount, namespace, "").await? {
        Some(recorded) => recorded,
        None => (100_000_000_000 + u64::from_be_bytes(*random::bytes()?) % 900_000_000_000).to_string(),
    };
    let wanted = KeystoreClaimSpec {
        purpose: ClaimPurpose::AccountNamespace,
        value: proposed.clone(),
        holder_uid: proposed.clone(),
        holder_namespace: String::new(),
        holder_name: proposed,
    };
    let id = claim::take(context, Controller::KeystoreAccount, Site::AccountClaim, &name, &wanted).await?.value;
    let metadata = ObjectMeta { name: Some(id.clone()), ..ObjectMeta::default() };
    let account =
        KeystoreAccount { metadata, spec: KeystoreAccountSpec { namespace: namespace.to_owned() }, status: None };
    let created =
        effect::at(Site::AccountCreate, context.writes(Controller::KeystoreAccount).create(api, &account)).await;
    match created {
        Ok(created) => {
            tracing::info!(namespace, account = id, "made an account");
            Ok(created)
        }
        Err(error) if error.is_conflict() => {
            let present = api.get(&id).await.map_err(AccountError::Read)?;
            if present.spec.namespace == namespace { Ok(present) } else { Err(AccountError::Taken { id, claim: name }) }
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    fn account(name: &str, second: i64) -> KeystoreAccount {
        let mut account = KeystoreAccount::new(name, KeystoreAccountSpec { namespace: "team-a".into() });
        account.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        account
    }

    #[test]
    fn of_two_accounts_of_a_namespace_the_older_counts() {
        let oldest = |accounts| super::oldest(accounts).map(|account| account.name_any());
        assert_eq!(oldest(vec![]), None);
        assert_eq!(
            oldest(vec![account("200000000000", 5), account("300000000000", 4)]).as_deref(),
            Some("300000000000")
        );
        assert_eq!(
            oldest(vec![account("300000000000", 4), account("200000000000", 4)]).as_deref(),
            Some("200000000000")
        );
    }

    #[test]
    fn a_found_account_is_remembered_per_namespace() {
        let accounts = Accounts::default();
        accounts.keep("team-a", "111122223333");
        assert_eq!(accounts.find("team-a").as_deref(), Some("111122223333"));
        assert_eq!(accounts.find("team-b"), None);
    }
}
