//! What the gateway counts: `kms_gateway_requests_total{operation,result}`, `kms_gateway_request_seconds{operation}`,
//! `kms_gateway_audit_failures_total`, `kms_gateway_connections`, `kms_gateway_refusals_total{refused}` (connections, handshakes, signatures),
//! `kms_gateway_serving_certificate_end_timestamp_seconds`.
//!
//! Label values come from closed enums only: no request can make a new time series.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::error::ErrorCode;
use crate::target::Operation;

/// Label for requests that named no operation of ours.
const OTHER: &str = "other";

/// The gateway's metrics. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    /// The series in use, so that counting neither hashes labels nor locks.
    series: Arc<[Series]>,
    audit_failures: IntCounter,
    /// Open client connections.
    pub(crate) connections: IntGauge,
    /// Who was turned away.
    pub(crate) refusals: IntCounterVec,
    /// When the certificate in use ends, in seconds since 1970.
    pub(crate) serving_certificate_end: IntGauge,
}

/// The series of one operation, looked up when they are first needed: what never happened has no series.
struct Series {
    succeeded: OnceLock<IntCounter>,
    /// By the number of the error code.
    failed: Vec<OnceLock<IntCounter>>,
    seconds: OnceLock<Histogram>,
}

impl Series {
    fn unused() -> Self {
        let failed = ErrorCode::ALL.iter().map(|_| OnceLock::new()).collect();
        Self { succeeded: OnceLock::new(), failed, seconds: OnceLock::new() }
    }
}

impl Metrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When one of the names is already registered.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new("kms_gateway_requests_total", "API requests by operation and result (OK or the AWS exception)."),
            &["operation", "result"],
        )?;
        let buckets = vec![0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 4.0, 5.0, 30.0];
        let seconds = HistogramVec::new(
            HistogramOpts::new("kms_gateway_request_seconds", "Time from the last byte read to the reply.")
                .buckets(buckets),
            &["operation"],
        )?;
        let metrics = Self {
            requests,
            seconds,
            // One for each operation and one for requests that named none.
            series: (0..=Operation::ALL.len()).map(|_| Series::unused()).collect(),
            audit_failures: IntCounter::new(
                "kms_gateway_audit_failures_total",
                "Audit records that were not written.",
            )?,
            connections: IntGauge::new("kms_gateway_connections", "Open client connections.")?,
            refusals: IntCounterVec::new(
                Opts::new("kms_gateway_refusals_total", "Client connections, TLS handshakes and signatures refused."),
                &["refused"],
            )?,
            serving_certificate_end: IntGauge::new(
                "kms_gateway_serving_certificate_end_timestamp_seconds",
                "When the serving certificate in use ends, in seconds since 1970.",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.audit_failures.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.refusals.clone()))?;
        registry.register(Box::new(metrics.serving_certificate_end.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn answered(&self, operation: Option<Operation>, error: Option<ErrorCode>, took: Duration) {
        let index = operation.map_or(Operation::ALL.len(), |operation| operation as usize);
        let Some(series) = self.series.get(index) else { return };
        let name = operation.map_or(OTHER, Operation::name);
        let requests = |result| self.requests.with_label_values(&[name, result]);
        match error {
            None => series.succeeded.get_or_init(|| requests("OK")).inc(),
            Some(code) => {
                if let Some(failed) = series.failed.get(code as usize) {
                    failed.get_or_init(|| requests(code.name())).inc();
                }
            }
        }
        series.seconds.get_or_init(|| self.seconds.with_label_values(&[name])).observe(took.as_secs_f64());
    }

    pub(crate) fn audit_failed(&self) {
        self.audit_failures.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_and_result_is_counted_in_its_own_series_and_nothing_else_appears() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let operations = || Operation::ALL.iter().copied().map(Some).chain([None]);
        let results = || ErrorCode::ALL.iter().copied().map(Some).chain([None]);
        for (operation, result) in operations().flat_map(|operation| results().map(move |result| (operation, result))) {
            metrics.answered(operation, result, Duration::from_millis(1));
        }
        metrics.answered(Some(Operation::Encrypt), None, Duration::from_millis(1));
        for (operation, result) in operations().flat_map(|operation| results().map(move |result| (operation, result))) {
            let labels = [operation.map_or(OTHER, Operation::name), result.map_or("OK", ErrorCode::name)];
            let expected = if labels == ["Encrypt", "OK"] { 2 } else { 1 };
            assert_eq!(metrics.requests.with_label_values(&labels).get(), expected, "{labels:?}");
        }
        let families = registry.gather();
        let count = |name| families.iter().find(|family| family.name() == name).map(|family| family.get_metric().len());
        assert_eq!(count("kms_gateway_requests_total"), Some((Operation::ALL.len() + 1) * (ErrorCode::ALL.len() + 1)));
        assert_eq!(count("kms_gateway_request_seconds"), Some(Operation::ALL.len() + 1));
    }
}
