//! The gateway as a value: what it knows, what it may call, and nothing about sockets or Kubernetes.

use std::sync::Arc;
use std::time::Duration;

use audit::Sink;
use jiff::Timestamp;

use crate::arn::Place;
use crate::authorize::{Authorization, Authorizer};
use crate::control::ControlPlane;
use crate::crypto::ConnectedStores;
use crate::index::Index;
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::replay::Replays;

/// How long CreateKey waits for its key: less than the 60 s after which AWS clients give up reading.
const KEY_PATIENCE: Duration = Duration::from_secs(30);

/// What a gateway is made of. Everything outside of this crate comes in as a trait, so that a test or a bench can run
/// the whole request path in one process.
pub struct Parts {
    /// Access keys, keys, aliases, stores.
    pub index: Arc<Index>,
    /// The HSMs.
    pub stores: Arc<dyn ConnectedStores>,
    /// Writes to Kubernetes.
    pub control: Arc<dyn ControlPlane>,
    /// Who may do what.
    pub authorizer: Arc<dyn Authorizer>,
    /// Where records go.
    pub audit: Arc<dyn Sink>,
    /// What is counted.
    pub metrics: Metrics,
    /// Where the endpoint is.
    pub place: Place,
}

/// Answers requests of the AWS API.
pub struct Gateway {
    pub(crate) index: Arc<Index>,
    pub(crate) stores: Arc<dyn ConnectedStores>,
    pub(crate) control: Arc<dyn ControlPlane>,
    pub(crate) authorization: Arc<Authorization>,
    pub(crate) audit: Arc<dyn Sink>,
    pub(crate) metrics: Metrics,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) place: Place,
    /// What has been ordered by which signature.
    pub(crate) replays: Arc<Replays>,
    /// How long CreateKey waits for its key.
    pub(crate) key_patience: Duration,
}

impl Gateway {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { index, stores, control, authorizer, audit, metrics, place } = parts;
        let (authorization, key_patience) = (Arc::new(Authorization::new(authorizer)), KEY_PATIENCE);
        let replays = Arc::new(Replays::since(Timestamp::now()));
        let refusals = Arc::new(Refusals::new(&metrics.refusals));
        Self { index, stores, control, authorization, audit, metrics, refusals, place, replays, key_patience }
    }

    /// The same gateway for another core, with connections, a way to the audit and counters of its own; everything else is
    /// shared.
    #[must_use]
    pub fn on_core(&self, stores: Arc<dyn ConnectedStores>, audit: Arc<dyn Sink>) -> Self {
        Self {
            index: Arc::clone(&self.index),
            stores,
            control: Arc::clone(&self.control),
            authorization: Arc::clone(&self.authorization),
            audit,
            metrics: self.metrics.on_core(),
            refusals: Arc::clone(&self.refusals),
            place: self.place.clone(),
            replays: Arc::clone(&self.replays),
            key_patience: self.key_patience,
        }
    }

    /// Forgets authorisation decisions that nobody has asked for in a day, and signatures that have expired.
    pub fn forget_old(&self) {
        self.authorization.forget_old();
        self.replays.forget_old(Timestamp::now());
    }
}
