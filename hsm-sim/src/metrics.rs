//! Metrics of one HSM. Label values come from closed enums only.
//!
//! | name | labels | meaning |
//! |---|---|---|
//! | `hsm_requests_total` | `command`, `code` | requests answered, by command and return code |
//! | `hsm_refusals_total` | `refused` | connections, handshakes, delegations, signatures, commands, frames that were refused |
//! | `hsm_keys` | | keys on this HSM |
//! | `hsm_conflicting_keys` | | keys with two fingerprints under one id |
//! | `hsm_under_replicated_keys` | | keys that a reached peer lacked in the last round |
//! | `hsm_peers_reached` | | peers that answered in the last round |
//! | `hsm_sessions` | | open client sessions |
//! | `hsm_active` | | 1 while this HSM serves users and keys |

use std::sync::atomic::{AtomicU64, Ordering};

use hsm_protocol::message::CommandCount;
use hsm_protocol::{Command, ReturnCode};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use refusal_log::Kind;

use crate::refusals::Refused;

struct PerCommand {
    command: Command,
    succeeded: IntCounter,
    refused: AtomicU64,
}

/// The metrics and their registry.
pub(crate) struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    /// What was refused.
    pub(crate) refusals: IntCounterVec,
    per_command: Vec<PerCommand>,
    /// Keys on this HSM.
    pub(crate) keys: IntGauge,
    /// Keys in conflict.
    pub(crate) conflicting_keys: IntGauge,
    /// Keys that a reached peer lacked.
    pub(crate) under_replicated_keys: IntGauge,
    /// Peers that answered.
    pub(crate) peers_reached: IntGauge,
    /// Open client sessions.
    pub(crate) sessions: IntGauge,
    /// 1 while ACTIVE.
    pub(crate) active: IntGauge,
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    /// The registry's, if two metrics had one name.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let requests = IntCounterVec::new(
            Opts::new("hsm_requests_total", "Requests answered, by command and return code."),
            &["command", "code"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        let refusals = IntCounterVec::new(
            Opts::new(
                "hsm_refusals_total",
                "Connections, handshakes, delegations, signatures, commands and frames refused.",
            ),
            &["refused"],
        )?;
        registry.register(Box::new(refusals.clone()))?;
        // Every series is there from the start: a rate over one that appears with its first refusal would miss it.
        Refused::ALL.iter().for_each(|kind| drop(refusals.with_label_values(&[kind.name()])));
        let success = ReturnCode::Success.name();
        let per_command = Command::ALL.iter().map(|command| PerCommand {
            command: *command,
            succeeded: requests.with_label_values(&[command.name(), success]),
            refused: AtomicU64::new(0),
        });
        Ok(Self {
            per_command: per_command.collect(),
            requests,
            refusals,
            keys: gauge("hsm_keys", "Keys on this HSM.")?,
            conflicting_keys: gauge("hsm_conflicting_keys", "Keys with two fingerprints under one id.")?,
            under_replicated_keys: gauge("hsm_under_replicated_keys", "Keys that a reached peer lacked.")?,
            peers_reached: gauge("hsm_peers_reached", "Peers that answered in the last round.")?,
            sessions: gauge("hsm_sessions", "Open client sessions.")?,
            active: gauge("hsm_active", "1 while this HSM serves users and keys.")?,
            registry,
        })
    }

    /// Counts one answered request.
    pub(crate) fn count(&self, command: Command, code: ReturnCode) {
        // At most 40 entries: cheaper than hashing two labels.
        let Some(counts) = self.per_command.iter().find(|counts| counts.command == command) else { return };
        if code == ReturnCode::Success {
            counts.succeeded.inc();
        } else {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            self.requests.with_label_values(&[command.name(), code.name()]).inc();
        }
    }

    /// Counts per command since the process started.
    pub(crate) fn command_counts(&self) -> Vec<CommandCount> {
        let counts = self.per_command.iter().map(|counts| CommandCount {
            command: u32::from(counts.command as u16),
            succeeded: counts.succeeded.get(),
            refused: counts.refused.load(Ordering::Relaxed),
        });
        counts.filter(|count| count.succeeded + count.refused > 0).collect()
    }

    /// The Prometheus text format.
    ///
    /// # Errors
    /// The encoder's.
    pub(crate) fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_above_names_every_metric_and_no_other() {
        let metrics = Metrics::new().unwrap();
        let registered: Vec<String> = metrics.registry.gather().iter().map(|family| family.name().to_owned()).collect();
        let source = include_str!("metrics.rs");
        let listed = source.lines().filter_map(|line| line.strip_prefix("//! | `"));
        let mut listed: Vec<String> = listed.filter_map(|line| line.split('`').next()).map(str::to_owned).collect();
        listed.sort_unstable();
        assert_eq!(registered, listed);
    }

    #[test]
    fn successes_and_refusals_are_counted_apart_and_only_commands_that_came() {
        let metrics = Metrics::new().unwrap();
        metrics.count(Command::Encrypt, ReturnCode::Success);
        metrics.count(Command::Encrypt, ReturnCode::KeyNotUsable);
        metrics.count(Command::Encrypt, ReturnCode::NotLoggedIn);
        let counts = metrics.command_counts();
        assert_eq!(counts, [CommandCount { command: 0x0501, succeeded: 1, refused: 2 }]);
        let text = metrics.render().unwrap();
        assert!(text.contains(r#"hsm_requests_total{code="key_not_usable",command="encrypt"} 1"#), "{text}");
    }
}
