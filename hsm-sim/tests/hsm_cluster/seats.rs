//! What the workers of the kill cycles share: the history that they write, and one `kmsuser` session per HSM.

use crate::crash::HSMS;
use crate::harness::Cluster;
use crate::history::Event;
use hsm_client::{HsmError, KMS_USER, KeyId, Session};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// So many failed logins in a row leave one to spare before the fifth locks: an attempt may be under way, and be cut off, when it is read.
const CAUTION: u32 = 3;

/// The history, and the ciphertexts that it numbers.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) events: Vec<Event>,
    pub(crate) blobs: Vec<(KeyId, Vec<u8>)>,
    pub(crate) acknowledged: usize,
    pub(crate) interrupted: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Shared(pub(crate) Arc<Mutex<Record>>);

impl Shared {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Record) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer, if there is one; a lost one is counted. A refusal of a sound request is a fault of the HSM, unless it is starting.
    pub(crate) fn answer<T>(&self, outcome: Result<T, HsmError>) -> Option<T> {
        match outcome {
            Ok(value) => Some(value),
            Err(error) => {
                self.with(|record| record.interrupted += usize::from(error.is_indefinite()));
                None
            }
        }
    }

    pub(crate) fn promise(&self, event: Event) {
        self.with(|record| {
            record.acknowledged += 1;
            record.events.push(event);
        });
    }

    pub(crate) fn note(&self, event: Event) {
        self.with(|record| record.events.push(event));
    }
}

/// One HSM as all workers see it: a `kmsuser` session that is opened anew when it broke, by whoever needs it first. Handshakes and a
/// login are slow, so they share it.
pub(crate) struct Seat {
    endpoint: hsm_client::HsmEndpoint,
    pub(crate) fence: u64,
    session: tokio::sync::Mutex<Option<Session>>,
}

pub(crate) struct Access {
    identity: hsm_client::ClientIdentity,
    anchor: hsm_client::TrustAnchor,
    password: zeroize::Zeroizing<String>,
    pub(crate) seats: Vec<Seat>,
    /// Held for every kill, and while there must be none.
    pub(crate) peace: tokio::sync::Mutex<()>,
}

impl Access {
    pub(crate) async fn to(cluster: &Cluster) -> Self {
        let mut seats = Vec::new();
        for index in 0..HSMS {
            let session = cluster.session(index).await;
            let fence = cluster.fence(&session).await;
            seats.push(Seat { endpoint: cluster.endpoint(index).await, fence, session: Default::default() });
        }
        let identity = cluster.identity(hsm_client::pki::ClientRole::Controllers);
        let password = cluster.kmsuser_password();
        Self { identity, anchor: cluster.anchor(), password, seats, peace: Default::default() }
    }

    pub(crate) async fn dial(&self, hsm: usize) -> Option<Session> {
        let endpoint = &self.seats[hsm].endpoint;
        Session::connect(endpoint, &self.identity, &self.anchor, Duration::from_secs(1)).await.ok()
    }

    pub(crate) async fn kmsuser(&self, hsm: usize) -> Option<(Session, u64)> {
        let seat = &self.seats[hsm % HSMS];
        let mut kept = seat.session.lock().await;
        if kept.as_ref().is_none_or(|session| !session.is_open()) {
            let session = self.dial(hsm % HSMS).await?;
            self.login(&session, KMS_USER, &self.password).await?;
            *kept = Some(session);
        }
        kept.clone().map(|session| (session, seat.fence))
    }

    /// Logs in with the right password. An attempt that a kill cuts off counts as failed, and the fifth in a row locks (INV-62): so the last
    /// ones are made while nobody kills.
    pub(crate) async fn login(&self, session: &Session, user: &str, password: &str) -> Option<()> {
        let failures = session.user_info(user).await.ok()??.failures;
        let _nobody_kills = if failures >= CAUTION { Some(self.peace.lock().await) } else { None };
        session.login(user, password).await.ok().map(drop)
    }
}
