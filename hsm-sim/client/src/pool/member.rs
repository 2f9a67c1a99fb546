//! One HSM of the pool and the task that keeps a delegated session to it open.

use super::MemberStatus;
use super::backoff::Backoff;
use crate::endpoint::HsmEndpoint;
use crate::error::HsmError;
use crate::session::Session;
use crate::tls::{ClientIdentity, TrustAnchor};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// Longest one phase of dialling may take.
const DIAL: Duration = Duration::from_secs(2);
/// So many unanswered requests in a row, and the session is given up: the process behind it hangs.
const MOST_FAILURES: u32 = 3;
/// How long an HSM that did not answer is asked only after all others; then it gets one more chance.
const AVOIDED: Duration = Duration::from_secs(1);

/// What every member needs to open its session.
pub(super) struct Opening {
    identity: ArcSwap<ClientIdentity>,
    anchor: TrustAnchor,
    store_id: String,
    generation: u64,
    local_zone: String,
    arrivals: watch::Sender<u64>,
}

impl Opening {
    pub(super) fn new(
        identity: Arc<ClientIdentity>,
        anchor: TrustAnchor,
        store_id: &str,
        generation: u64,
        local_zone: &str,
    ) -> (Self, watch::Receiver<u64>) {
        let (arrivals, receiver) = watch::channel(0);
        let (store_id, local_zone) = (store_id.to_owned(), local_zone.to_owned());
        let identity = ArcSwap::new(identity);
        (Self { identity, anchor, store_id, generation, local_zone, arrivals }, receiver)
    }

    pub(super) fn renew(&self, identity: Arc<ClientIdentity>) {
        self.identity.store(identity);
    }

    /// Whether a session that was opened with `identity` should be opened anew.
    fn has_replaced(&self, identity: &Arc<ClientIdentity>) -> bool {
        !Arc::ptr_eq(identity, &self.identity.load())
    }

    async fn open(&self, endpoint: &HsmEndpoint, identity: &ClientIdentity) -> Result<Session, String> {
        let session = Session::connect(endpoint, identity, &self.anchor, DIAL)
            .await
            .map_err(|error| format!("{error}: {}", source_of(&error)))?;
        session
            .with_deadline(DIAL)
            .open_delegation(&self.store_id, self.generation)
            .await
            .map_err(|error| format!("failed to open the delegation: {error}"))?;
        Ok(session)
    }
}

fn source_of(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| "no further cause".to_owned(), ToString::to_string)
}

/// What the supervising task and the callers share.
struct State {
    endpoint: ArcSwap<HsmEndpoint>,
    session: ArcSwapOption<Session>,
    last_error: ArcSwapOption<String>,
    in_flight: AtomicUsize,
    consecutive_failures: AtomicU32,
    /// Milliseconds after `started` until which this HSM is avoided.
    avoided_until: AtomicU64,
    started: Instant,
    /// Ends a wait before dialling: the address or our identity changed, or the session was given up.
    attend: Notify,
}

impl State {
    /// Milliseconds from the start of this member to `ahead` from now.
    fn milliseconds(&self, ahead: Duration) -> u64 {
        u64::try_from((self.started.elapsed() + ahead).as_millis()).unwrap_or(u64::MAX)
    }
}

/// One HSM of the pool. Dropping it stops its supervising task.
pub(super) struct Member {
    state: Arc<State>,
    local: bool,
    supervisor: AbortHandle,
}

impl Member {
    pub(super) fn start(endpoint: HsmEndpoint, opening: Arc<Opening>) -> Self {
        let local = !opening.local_zone.is_empty() && opening.local_zone == endpoint.availability_zone;
        let state = Arc::new(State {
            endpoint: ArcSwap::from_pointee(endpoint),
            session: ArcSwapOption::empty(),
            last_error: ArcSwapOption::empty(),
            in_flight: AtomicUsize::new(0),
            consecutive_failures: AtomicU32::new(0),
            avoided_until: AtomicU64::new(0),
            started: Instant::now(),
            attend: Notify::new(),
        });
        let supervisor = tokio::spawn(supervise(state.clone(), opening)).abort_handle();
        Self { state, local, supervisor }
    }

    /// Whether `endpoint` is this very HSM, wherever it is now.
    pub(super) fn is(&self, endpoint: &HsmEndpoint) -> bool {
        let present = self.state.endpoint.load();
        present.hsm_id == endpoint.hsm_id
            && present.availability_zone == endpoint.availability_zone
            && present.identity_fingerprint == endpoint.identity_fingerprint
    }

    /// Takes a new address or host certificate; a session that still stands is kept.
    pub(super) fn relocate(&self, endpoint: HsmEndpoint) {
        if **self.state.endpoint.load() != endpoint {
            self.state.endpoint.store(Arc::new(endpoint));
            self.state.attend.notify_one();
        }
    }

    /// Lets the supervising task look again.
    pub(super) fn attend(&self) {
        self.state.attend.notify_one();
    }

    pub(super) fn session(&self) -> Option<Session> {
        self.state.session.load().as_ref().map(|session| Session::clone(session)).filter(Session::is_open)
    }

    /// Whether a delegated session is open.
    pub(super) fn is_connected(&self) -> bool {
        self.state.session.load().as_ref().is_some_and(|session| session.is_open())
    }

    pub(super) fn is_local(&self) -> bool {
        self.local
    }

    pub(super) fn in_flight(&self) -> usize {
        self.state.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it failed to answer a moment ago.
    pub(super) fn is_avoided(&self) -> bool {
        let until = self.state.avoided_until.load(Ordering::Relaxed);
        // Nearly always zero, and then the clock need not be read.
        until > 0 && self.state.milliseconds(Duration::ZERO) < until
    }

    /// Counts one request as in flight until the guard is dropped.
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.state.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(&self.state.in_flight)
    }

    /// Notes how one request ended; gives the session up when the HSM no longer answers.
    pub(super) fn record(&self, error: Option<&HsmError>) {
        match error {
            Some(HsmError::Timeout | HsmError::Disconnected | HsmError::Protocol(_)) => {
                self.state.avoided_until.store(self.state.milliseconds(AVOIDED), Ordering::Relaxed);
                let failures = self.state.consecutive_failures.fetch_add(1, Ordering::Relaxed) + 1;
                if failures >= MOST_FAILURES {
                    self.state.session.store(None);
                    self.state.attend.notify_one();
                }
            }
            Some(HsmError::Refused(_)) | None => self.state.consecutive_failures.store(0, Ordering::Relaxed),
        }
    }

    pub(super) fn status(&self) -> MemberStatus {
        let endpoint = self.state.endpoint.load();
        MemberStatus {
            hsm_id: endpoint.hsm_id.clone(),
            availability_zone: endpoint.availability_zone.clone(),
            connected: self.session().is_some(),
            last_error: self.state.last_error.load().as_ref().map(ToString::to_string),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.supervisor.abort();
    }
}

/// See [`Member::begin`].
pub(super) struct InFlight<'a>(&'a AtomicUsize);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Opens a session, waits until it ends or has to be renewed, opens the next one. A session that is renewed serves until the next one is
/// open.
async fn supervise(state: Arc<State>, opening: Arc<Opening>) {
    let mut backoff = Backoff::new();
    loop {
        let (endpoint, identity) = (state.endpoint.load_full(), opening.identity.load_full());
        match opening.open(&endpoint, &identity).await {
            Ok(session) => {
                backoff.reset();
                state.last_error.store(None);
                state.consecutive_failures.store(0, Ordering::Relaxed);
                state.session.store(Some(Arc::new(session.clone())));
                opening.arrivals.send_modify(|count| *count = count.wrapping_add(1));
                tracing::info!(hsm_id = %endpoint.hsm_id, "delegated HSM session open");
                stand_by(&state, &opening, &identity, session).await;
            }
            Err(error) => {
                tracing::warn!(hsm_id = %endpoint.hsm_id, %error, "no delegated HSM session");
                state.last_error.store(Some(Arc::new(error)));
                let wait = backoff.wait();
                let _ = tokio::time::timeout(wait, state.attend.notified()).await;
            }
        }
    }
}

/// Returns when `session` has ended, was given up, or was opened with an identity that has been replaced; only in the last case it stays in
/// use. A change of address alone does not end it.
async fn stand_by(state: &State, opening: &Opening, identity: &Arc<ClientIdentity>, session: Session) {
    loop {
        if opening.has_replaced(identity) {
            return;
        }
        tokio::select! {
            () = session.closed() => break,
            () = state.attend.notified() => {
                if state.session.load().is_none() {
                    break;
                }
            }
        }
    }
    state.session.store(None);
}
