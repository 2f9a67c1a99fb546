//! What the gateway counts: `kms_gateway_requests_total{operation,result}`, `kms_gateway_request_seconds{operation}`,
//! `kms_gateway_audit_failures_total`, `kms_gateway_connections`, `kms_gateway_refusals_total{refused}` (connections, handshakes, signatures),
//! `kms_gateway_serving_certificate_end_timestamp_seconds`.
//!
//! Label values come from closed enums only: no request can make a new time series.

mod summed;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::error::ErrorCode;
use crate::target::Operation;
use summed::Summed;

/// Label for requests that named no operation of ours.
const OTHER: &str = "other";

/// The gateway's metrics. Clones count together; cores count their requests apart, and are read as one.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    /// The requests and their seconds on all cores.
    on_all_cores: (Summed<IntCounterVec>, Summed<HistogramVec>),
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
        let (requests, seconds) = request_metrics()?;
        let metrics = Self {
            on_all_cores: (Summed::new(requests.clone()), Summed::new(seconds.clone())),
            requests,
            seconds,
            series: unused_series(),
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
        registry.register(Box::new(metrics.on_all_cores.0.clone()))?;
        registry.register(Box::new(metrics.on_all_cores.1.clone()))?;
        registry.register(Box::new(metrics.audit_failures.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.refusals.clone()))?;
        registry.register(Box::new(metrics.serving_certificate_end.clone()))?;
        Ok(metrics)
    }

    /// The same metrics for another core, which counts its requests for itself.
    pub(crate) fn on_core(&self) -> Self {
        // What was made once can be made again; if not, it is counted with the others.
        let Ok((requests, seconds)) = request_metrics() else { return self.clone() };
        self.on_all_cores.0.add(requests.clone());
        self.on_all_cores.1.add(seconds.clone());
        Self { requests, seconds, series: unused_series(), ..self.clone() }
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

/// What is counted for each request: how many, and how long they took.
fn request_metrics() -> Result<(IntCounterVec, HistogramVec), prometheus::Error> {
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
    Ok((requests, seconds))
}

/// One for each operation and one for requests that named none.
fn unused_series() -> Arc<[Series]> {
    (0..=Operation::ALL.len()).map(|_| Series::unused()).collect()
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

    #[test]
    fn what_each_core_counts_for_itself_is_read_as_one_series_with_the_sum() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        let cores = [metrics.clone(), metrics.on_core(), metrics.on_core()];
        for (core, milliseconds) in cores.iter().zip([1, 20, 300]) {
            core.answered(Some(Operation::Encrypt), None, Duration::from_millis(milliseconds));
        }
        cores[2].answered(Some(Operation::Decrypt), Some(ErrorCode::Disabled), Duration::from_millis(2));
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        for line in [
            r#"kms_gateway_requests_total{operation="Encrypt",result="OK"} 3"#,
            r#"kms_gateway_requests_total{operation="Decrypt",result="DisabledException"} 1"#,
            r#"kms_gateway_request_seconds_bucket{operation="Encrypt",le="0.0025"} 1"#,
            r#"kms_gateway_request_seconds_bucket{operation="Encrypt",le="0.25"} 2"#,
            r#"kms_gateway_request_seconds_bucket{operation="Encrypt",le="+Inf"} 3"#,
            r#"kms_gateway_request_seconds_count{operation="Encrypt"} 3"#,
            r#"kms_gateway_request_seconds_count{operation="Decrypt"} 1"#,
        ] {
            assert_eq!(text.lines().filter(|written| *written == line).count(), 1, "{line}\n{text}");
        }
        assert!(text.contains(r#"kms_gateway_request_seconds_sum{operation="Encrypt"} 0.32"#), "{text}");
    }
}
