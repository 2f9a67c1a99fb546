//! Asks whether a caller may do something, and remembers the answer for a few seconds (D11).
//!
//! With "account root" the answer is Kubernetes RBAC's, through a SubjectAccessReview. One question in flight answers
//! all requests that wait for it. A decision is fresh for seconds; when the API server cannot be asked, the last known
//! *allow* still counts, because losing the API server alone must not stop serving (design, "Disconnect"). A question
//! that was never answered fails closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use operator_domain::authorization::Principal;
use thiserror::Error;

use crate::index::Sharded;

/// How long an allow is fresh.
const ALLOW_FRESH: Duration = Duration::from_secs(5);
/// How long a deny is fresh: shorter, so that a new grant of rights works soon.
const DENY_FRESH: Duration = Duration::from_secs(1);
/// How long a decision is kept at all without being renewed.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// Most decisions that are kept; more make the oldest go.
const MOST_DECISIONS: usize = 65_536;

/// The kind of object that a verb applies to, as Kubernetes names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Keys, and everything about them.
    KmsKeys,
    /// Custom key stores.
    CustomKeyStores,
}

impl Resource {
    /// The plural in RBAC rules.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::KmsKeys => "kmskeys",
            Self::CustomKeyStores => "customkeystores",
        }
    }
}

/// May this user of this namespace do this, to this object of the namespace?
///
/// Security: the user and the object are always of the same namespace; there is no second namespace to fill in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The namespace of both.
    pub namespace: Arc<str>,
    /// Name of the `KmsAccessKey`; the RBAC user is [`Question::rbac_user`].
    pub user_name: Arc<str>,
    /// The custom verb.
    pub verb: &'static str,
    /// The kind of object.
    pub resource: Resource,
    /// The object's name; none for all objects.
    pub name: Option<Arc<str>>,
}

impl Question {
    /// The RBAC user: never a name that a tenant can write (D11).
    #[must_use]
    pub fn rbac_user(&self) -> String {
        Principal { namespace: self.namespace.to_string(), access_key: self.user_name.to_string() }.user()
    }

    /// The fixed RBAC groups.
    #[must_use]
    pub fn rbac_groups(&self) -> Vec<String> {
        Principal::GROUPS.map(str::to_owned).to_vec()
    }
}

/// The authorizer did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("failed to ask the authorizer")]
pub struct AuthorizerUnavailable;

/// Who decides.
pub trait Authorizer: Send + Sync {
    /// Whether the answer to `question` is yes. Must end within seconds.
    fn decide(&self, question: Question) -> BoxFuture<'static, Result<bool, AuthorizerUnavailable>>;
}

#[derive(Clone, Copy)]
struct Decision {
    allowed: bool,
    made: Instant,
}

impl Decision {
    fn is_fresh(&self, now: Instant) -> bool {
        let fresh = if self.allowed { ALLOW_FRESH } else { DENY_FRESH };
        now.saturating_duration_since(self.made) < fresh
    }
}

type Pending = Shared<BoxFuture<'static, Result<bool, AuthorizerUnavailable>>>;

/// An [`Authorizer`] with a memory.
pub struct Authorization {
    authorizer: Arc<dyn Authorizer>,
    decisions: Sharded<Question, Decision>,
    /// Questions being asked now. Touched on a miss only.
    pending: Mutex<HashMap<Question, Pending>>,
}

impl Authorization {
    /// A memory in front of `authorizer`.
    pub fn new(authorizer: Arc<dyn Authorizer>) -> Self {
        Self { authorizer, decisions: Sharded::default(), pending: Mutex::default() }
    }

    /// The answer to `question`.
    ///
    /// # Errors
    /// When the authorizer cannot be asked and there is no earlier allow to fall back to.
    pub async fn allows(&self, question: Question) -> Result<bool, AuthorizerUnavailable> {
        let known = self.decisions.copy(&question);
        if let Some(decision) = known.as_ref().filter(|decision| decision.is_fresh(Instant::now())) {
            return Ok(decision.allowed);
        }
        let answer = self.ask(&question).await;
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&question);
        match answer {
            Ok(allowed) => {
                self.remember(question, allowed);
                Ok(allowed)
            }
            Err(unavailable) => known.filter(|decision| decision.allowed).map(|_| true).ok_or(unavailable),
        }
    }

    fn ask(&self, question: &Question) -> Pending {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = pending.get(question) {
            return asked.clone();
        }
        let asked = self.authorizer.decide(question.clone()).shared();
        pending.insert(question.clone(), asked.clone());
        asked
    }

    fn remember(&self, question: Question, allowed: bool) {
        if self.decisions.len() >= MOST_DECISIONS {
            let now = Instant::now();
            self.decisions.retain(|_, decision| decision.is_fresh(now));
        }
        self.decisions.insert(question, Arc::new(Decision { allowed, made: Instant::now() }));
    }

    /// Forgets decisions that nobody has renewed for a day. Called now and then by the server.
    pub fn forget_old(&self) {
        let now = Instant::now();
        self.decisions.retain(|_, decision| now.saturating_duration_since(decision.made) < KEPT);
    }
}

#[cfg(test)]
mod tests;
