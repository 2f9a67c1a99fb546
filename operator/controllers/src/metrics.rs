//! Metrics of the controllers.
//!
//! - `keystore_controller_reconciles_total{controller,result}`: reconciles that ended, `result` is `ok` or `error`
//! - `keystore_controller_failures_total{controller,reason}`: failed reconciles by reason (the word in event and condition)
//! - `keystore_controller_reconcile_seconds{controller}`: how long a reconcile took
//! - `keystore_controller_leader`: 1 while this process holds the Lease
//! - `keystore_cluster_hsms{state}`: HSMs of all clusters by state, as last observed
//! - `keystore_certificate_end_timestamp_seconds{use}`: when the first certificate of that use ends, in seconds since 1970
//!
//! Label values come from closed enums, so the number of series does not grow with the number of objects.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Handles of the metrics listed above; clones share their values.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// `keystore_controller_reconciles_total`
    pub reconciles: IntCounterVec,
    /// `keystore_controller_failures_total`
    pub failures: IntCounterVec,
    /// `keystore_controller_reconcile_seconds`
    pub seconds: HistogramVec,
    /// `keystore_controller_leader`
    pub leader: IntGauge,
    /// `keystore_cluster_hsms`
    pub hsms: IntGaugeVec,
    /// `keystore_certificate_end_timestamp_seconds`
    pub certificate_ends: IntGaugeVec,
}

impl Metrics {
    /// Creates the metrics and registers them.
    ///
    /// # Errors
    /// When a metric of the same name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            reconciles: IntCounterVec::new(
                Opts::new("keystore_controller_reconciles_total", "Reconciles that ended."),
                &["controller", "result"],
            )?,
            failures: IntCounterVec::new(
                Opts::new("keystore_controller_failures_total", "Failed reconciles by reason."),
                &["controller", "reason"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new("keystore_controller_reconcile_seconds", "Duration of a reconcile in seconds.")
                    .buckets(vec![0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]),
                &["controller"],
            )?,
            leader: IntGauge::new("keystore_controller_leader", "1 while this process holds the Lease.")?,
            hsms: IntGaugeVec::new(
                Opts::new("keystore_cluster_hsms", "HSMs of all clusters by state, as last observed."),
                &["state"],
            )?,
            certificate_ends: IntGaugeVec::new(
                Opts::new(
                    "keystore_certificate_end_timestamp_seconds",
                    "When the first certificate of that use ends, in seconds since 1970.",
                ),
                &["use"],
            )?,
        };
        registry.register(Box::new(metrics.reconciles.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.leader.clone()))?;
        registry.register(Box::new(metrics.hsms.clone()))?;
        registry.register(Box::new(metrics.certificate_ends.clone()))?;
        Ok(metrics)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_registered_metric_is_listed_at_the_top_of_this_file() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.reconciles.with_label_values(&["kms_key", "ok"]).inc();
        metrics.failures.with_label_values(&["kms_key", "ApiUnavailable"]).inc();
        metrics.seconds.with_label_values(&["kms_key"]).observe(0.1);
        metrics.hsms.with_label_values(&["ACTIVE"]).set(1);
        metrics.certificate_ends.with_label_values(&["hsm_pod"]).set(1);
        let families = registry.gather();
        assert_eq!(families.len(), 6);
        for family in families {
            assert!(include_str!("metrics.rs").contains(&format!("//! - `{}", family.name())), "{}", family.name());
        }
    }
}
