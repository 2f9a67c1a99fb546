//! Every open session of port 2223: who it is, whether it is logged in, and how to end it.
//!
//! A session is bound to its two TLS layers and its client certificate, and ends with them (INV-65).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use hsm_protocol::message::UserType;
use hsm_protocol::{ClientRole, ReturnCode};
use tokio_util::sync::CancellationToken;

use crate::vault::Outcome;
use crate::vault::delegates::Generation;

/// What a session may act as.
pub(crate) enum Login {
    /// Nobody yet.
    Nobody,
    /// A user.
    User {
        /// Canonical name.
        name: String,
        /// What it may do.
        user_type: UserType,
    },
    /// A delegate of a user (D12).
    Delegate(Arc<Generation>),
}

/// What the TLS layers say about a client.
pub(crate) struct ClientProof {
    /// Where it connected from.
    pub(crate) address: SocketAddr,
    /// From the certificate's subject.
    pub(crate) role: ClientRole,
    /// SHA-256 of the certificate's public key.
    pub(crate) spki_sha256: [u8; 32],
    /// Exported from the inner session for Hello.
    pub(crate) hello_exporter: [u8; 32],
    /// Exported from the outer session for Login.
    pub(crate) outer_exporter: [u8; 32],
}

/// One session.
pub(crate) struct Session {
    id: u64,
    /// What TLS proved.
    pub(crate) client: ClientProof,
    /// Ends the session.
    pub(crate) closed: CancellationToken,
    greeted: AtomicBool,
    login: ArcSwap<Login>,
    fence_holder: Mutex<Option<String>>,
}

impl Session {
    /// Whether the client has said Hello: everything else comes after it.
    pub(crate) fn has_greeted(&self) -> bool {
        self.greeted.load(Ordering::Acquire)
    }

    /// Notes the Hello.
    ///
    /// # Errors
    /// `WrongState` if there was one already.
    pub(crate) fn greet(&self) -> Outcome<()> {
        if self.greeted.swap(true, Ordering::AcqRel) { Err(ReturnCode::WrongState) } else { Ok(()) }
    }

    /// Present login.
    pub(crate) fn login(&self) -> arc_swap::Guard<Arc<Login>> {
        self.login.load()
    }

    /// Replaces the login.
    pub(crate) fn set_login(&self, login: Login) {
        self.login.store(Arc::new(login));
    }

    /// The logged-in user.
    ///
    /// # Errors
    /// `NotLoggedIn`.
    pub(crate) fn user(&self) -> Outcome<(String, UserType)> {
        match &**self.login.load() {
            Login::User { name, user_type, .. } => Ok((name.clone(), *user_type)),
            Login::Nobody | Login::Delegate(_) => Err(ReturnCode::NotLoggedIn),
        }
    }

    /// The logged-in user, who must be of this type (spec 1.7).
    ///
    /// # Errors
    /// `NotLoggedIn`, `RoleDenied`.
    pub(crate) fn user_of_type(&self, required: UserType) -> Outcome<String> {
        let (name, user_type) = self.user()?;
        if user_type == required { Ok(name) } else { Err(ReturnCode::RoleDenied) }
    }

    /// Remembers under whose fence this session works.
    pub(crate) fn set_fence_holder(&self, holder: &str) {
        *self.fence_holder.lock().unwrap_or_else(PoisonError::into_inner) = Some(holder.to_owned());
    }

    /// Whose fence this session works under.
    pub(crate) fn fence_holder(&self) -> Option<String> {
        self.fence_holder.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is logged in as this user.
    pub(crate) fn is_user(&self, user: &str) -> bool {
        matches!(&**self.login.load(), Login::User { name, .. } if name == user)
    }

    /// Whether it is the same session.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The open sessions.
#[derive(Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<u64, Arc<Session>>>,
    next_id: AtomicU64,
}

impl Sessions {
    /// Registers a session.
    pub(crate) fn open(&self, client: ClientProof, closed: CancellationToken) -> Arc<Session> {
        let session = Arc::new(Session {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            client,
            closed,
            greeted: AtomicBool::new(false),
            login: ArcSwap::from_pointee(Login::Nobody),
            fence_holder: Mutex::new(None),
        });
        self.lock().insert(session.id, Arc::clone(&session));
        session
    }

    /// Forgets a session whose connection is gone.
    pub(crate) fn close(&self, session: &Session) {
        self.lock().remove(&session.id);
    }

    /// Sessions that match.
    pub(crate) fn matching(&self, matches: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        self.lock().values().filter(|session| matches(session)).cloned().collect()
    }

    /// Ends the sessions that match and waits until their connections are gone, at most two seconds.
    pub(crate) async fn end(&self, matches: impl Fn(&Session) -> bool) {
        let ended = self.matching(matches);
        ended.iter().for_each(|session| session.closed.cancel());
        for _ in 0..1000 {
            if !ended.iter().any(|session| self.lock().contains_key(&session.id)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Number of open sessions.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Session>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
