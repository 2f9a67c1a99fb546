//! What the gateway counts: `kms_gateway_requests_total{operation,result}`, `kms_gateway_request_seconds{operation}`,
//! `kms_gateway_audit_failures_total`, `kms_gateway_connections`, `kms_gateway_refused_connections_total`.
//!
//! Label values come from closed enums only: no request can make a new time series.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::error::ErrorCode;
use crate::target::Operation;

/// Label for requests that named no operation of ours.
const OTHER: &str = "other";

/// The gateway's metrics. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    audit_failures: IntCounter,
    /// Open client connections.
    pub(crate) connections: IntGauge,
    /// Connections closed at once because there were too many.
    pub(crate) refused_connections: IntCounter,
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
        let buckets = vec![0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 4.0, 30.0];
        let seconds = HistogramVec::new(
            HistogramOpts::new("kms_gateway_request_seconds", "Time from the last byte read to the reply.")
                .buckets(buckets),
            &["operation"],
        )?;
        let metrics = Self {
            requests,
            seconds,
            audit_failures: IntCounter::new(
                "kms_gateway_audit_failures_total",
                "Audit records that were not written.",
            )?,
            connections: IntGauge::new("kms_gateway_connections", "Open client connections.")?,
            refused_connections: IntCounter::new(
                "kms_gateway_refused_connections_total",
                "Client connections closed at once because there were too many.",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.seconds.clone()))?;
        registry.register(Box::new(metrics.audit_failures.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.refused_connections.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn answered(&self, operation: Option<Operation>, error: Option<ErrorCode>, took: Duration) {
        let operation = operation.map_or(OTHER, Operation::name);
        self.requests.with_label_values(&[operation, error.map_or("OK", ErrorCode::name)]).inc();
        self.seconds.with_label_values(&[operation]).observe(took.as_secs_f64());
    }

    pub(crate) fn audit_failed(&self) {
        self.audit_failures.inc();
    }
}
