//! refusal-log: who was turned away, and why. Every refusal is counted, and logged as far as the log can bear it.
//!
//! A stranger may be refused as often as it likes, so each kind writes a burst of lines and then one a second; the counter tells the rest.
//! HSM and gateway share this. Security: whoever notes a refusal gives what a peer sent only in bounded form, and never a secret.
//!
//! May import of this workspace: none. Never imports: `tokio`, `rustls`, `kube`. (It knows neither of its users.)

use std::fmt::{Arguments, Display};
use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use prometheus::{IntCounter, IntCounterVec};

/// Lines of one kind that may come at once.
const BURST: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Lines of one kind per second after that.
const PER_SECOND: NonZeroU32 = NonZeroU32::MIN;

/// What can be refused: a closed enum.
pub trait Kind: Copy + PartialEq + 'static {
    /// Every kind.
    const ALL: &'static [Self];

    /// Log field and label of the counter.
    fn name(self) -> &'static str;
}

struct Entry<K> {
    kind: K,
    count: IntCounter,
    limit: DefaultDirectRateLimiter,
}

/// Counter and limit of each kind.
pub struct Refusals<K>(Vec<Entry<K>>);

impl<K: Kind> Refusals<K> {
    /// Counts in `counter`, whose one label is the kind's name.
    #[must_use]
    pub fn new(counter: &IntCounterVec) -> Self {
        let entry = |kind: &K| Entry {
            kind: *kind,
            count: counter.with_label_values(&[kind.name()]),
            limit: RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(BURST)),
        };
        Self(K::ALL.iter().map(entry).collect())
    }

    /// Notes one refusal; `peer` as far as it is known.
    pub fn note(&self, refused: K, peer: Option<&dyn Display>, why: Arguments<'_>) {
        let Some(entry) = self.0.iter().find(|entry| entry.kind == refused) else { return };
        entry.count.inc();
        if entry.limit.check().is_ok() {
            let peer = peer.map(tracing::field::display);
            tracing::warn!(refused = refused.name(), peer, why = %why, "refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use prometheus::Opts;

    use super::*;

    #[derive(Clone, Copy, PartialEq)]
    enum Refused {
        Handshake,
        Delegation,
    }

    impl Kind for Refused {
        const ALL: &'static [Self] = &[Self::Handshake, Self::Delegation];

        fn name(self) -> &'static str {
            match self {
                Self::Handshake => "handshake",
                Self::Delegation => "delegation",
            }
        }
    }

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_refusal_is_counted_and_a_flood_writes_a_bounded_number_of_lines() {
        let counter = IntCounterVec::new(Opts::new("refusals", "Test."), &["refused"]).unwrap();
        let (refusals, lines) = (Refusals::new(&counter), Lines::default());
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..10_000 {
                refusals.note(Refused::Handshake, Some(&"192.0.2.1:9"), format_args!("no certificate"));
            }
            refusals.note(Refused::Delegation, None, format_args!("dropped"));
        });
        assert_eq!(counter.with_label_values(&["handshake"]).get(), 10_000);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let of = |kind: &str| text.lines().filter(|line| line.contains(&format!("\"refused\":\"{kind}\""))).count();
        assert!((10..20).contains(&of("handshake")), "{}", of("handshake"));
        assert_eq!(of("delegation"), 1, "a flood of one kind does not hide another");
        assert!(text.contains("192.0.2.1:9") && text.contains("\"why\":\"no certificate\""), "{text}");
    }
}
