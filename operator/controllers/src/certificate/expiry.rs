//! When the certificates of an installation end: what the metric and the clusters' condition `CertificatesCurrent` say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use operator_domain::Timestamp;
use operator_domain::certificate::Term;
use prometheus::IntGaugeVec;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificateUse {
    /// HTTPS of the gateway.
    GatewayServing,
    /// The gateway towards the HSMs.
    GatewayClient,
    /// The controllers towards the HSMs.
    ControllersClient,
    /// The provisioning listeners of HSM pods.
    HsmPod,
}

impl CertificateUse {
    /// Label of the metric.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GatewayServing => "gateway_serving",
            Self::GatewayClient => "gateway_client",
            Self::ControllersClient => "controllers_client",
            Self::HsmPod => "hsm_pod",
        }
    }
}

/// One certificate as it was found, after an attempt to renew it if that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it is for.
    pub usage: CertificateUse,
    /// Its Secret or pod, for people.
    pub name: String,
    /// When it ends.
    pub end: Timestamp,
    /// Whether it should have been renewed some time ago.
    pub late: bool,
}

impl Found {
    /// A certificate that ends at `end`, judged by the term of its kind.
    #[must_use]
    pub fn new(usage: CertificateUse, name: &str, end: Timestamp, term: Term, now: Timestamp) -> Self {
        Self { usage, name: name.to_owned(), end, late: term.is_late(end, now) }
    }
}

/// The earliest end of each use over all clusters; clones share it.
#[derive(Clone, Default)]
pub struct Ends(Arc<Mutex<HashMap<(CertificateUse, String), Timestamp>>>);

impl Ends {
    /// Notes what was found for `owner` (a cluster's id, or the installation) and shows the earliest end of each use in `gauge`.
    pub fn note(&self, gauge: &IntGaugeVec, owner: &str, found: &[Found]) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for usage in found.iter().map(|found| found.usage) {
            let earliest = found.iter().filter(|found| found.usage == usage).map(|found| found.end).min();
            if let Some(earliest) = earliest {
                ends.insert((usage, owner.to_owned()), earliest);
            }
        }
        show(gauge, &ends);
    }

    /// Forgets an owner that is gone.
    pub fn forget(&self, gauge: &IntGaugeVec, owner: &str) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.retain(|(_, other), _| other != owner);
        gauge.reset();
        show(gauge, &ends);
    }
}

fn show(gauge: &IntGaugeVec, ends: &HashMap<(CertificateUse, String), Timestamp>) {
    let mut earliest: HashMap<CertificateUse, Timestamp> = HashMap::new();
    for ((usage, _), end) in ends {
        let known = earliest.entry(*usage).or_insert(*end);
        *known = (*known).min(*end);
    }
    for (usage, end) in earliest {
        gauge.with_label_values(&[usage.name()]).set(end.as_unix_seconds());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;

    fn found(usage: CertificateUse, end: i64) -> Found {
        Found { usage, name: "x".into(), end: Timestamp::from_unix_seconds(end), late: false }
    }

    #[test]
    fn the_metric_shows_the_earliest_end_over_all_clusters_and_forgets_those_that_are_gone() {
        let gauge = IntGaugeVec::new(Opts::new("ends", "Test."), &["use"]).unwrap();
        let (ends, of) = (Ends::default(), |usage: CertificateUse| gauge.with_label_values(&[usage.name()]).get());
        ends.note(&gauge, "a", &[found(CertificateUse::HsmPod, 30), found(CertificateUse::HsmPod, 20)]);
        ends.note(&gauge, "b", &[found(CertificateUse::HsmPod, 50), found(CertificateUse::GatewayClient, 40)]);
        assert_eq!((of(CertificateUse::HsmPod), of(CertificateUse::GatewayClient)), (20, 40));
        ends.note(&gauge, "a", &[found(CertificateUse::HsmPod, 90)]);
        assert_eq!(of(CertificateUse::HsmPod), 50, "renewed");
        ends.forget(&gauge, "b");
        assert_eq!(of(CertificateUse::HsmPod), 90);
    }
}
