//! Logs: one JSON object per line on stderr, with the spans (and so the trace id) that a line belongs to.
//!
//! stdout is left to audit records.

use tracing_subscriber::EnvFilter;

/// Starts logging by `filter`, for example `info,operator_controllers=debug`. A filter that cannot be parsed falls back to `info`.
pub(crate) fn start(filter: &str) {
    let parsed = EnvFilter::try_new(filter);
    let broken = parsed.is_err();
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(parsed.unwrap_or_else(|_| EnvFilter::new("info")))
        .init();
    if broken {
        tracing::warn!(filter, "failed to parse the log filter; using info");
    }
}
