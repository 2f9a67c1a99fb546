//! Whether the gateway may be asked: every watch has listed once, and there is a certificate to serve.

use tokio::sync::watch;

/// What the gateway still waits for. Shared between the process's probes and the server.
#[derive(Debug)]
pub struct Readiness {
    waiting: watch::Sender<Vec<&'static str>>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self { waiting: watch::Sender::new(vec!["start"]) }
    }
}

impl Readiness {
    /// Whether requests are answered.
    pub fn is_ready(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// What is still missing, for people.
    pub fn waiting_for(&self) -> Vec<&'static str> {
        self.waiting.borrow().clone()
    }

    pub(super) fn expect(&self, parts: &[&'static str]) {
        self.waiting.send_modify(|waiting| {
            waiting.retain(|part| *part != "start");
            waiting.extend_from_slice(parts);
        });
    }

    pub(super) fn done(&self, part: &'static str) {
        self.waiting.send_if_modified(|waiting| {
            let before = waiting.len();
            waiting.retain(|waited| *waited != part);
            waiting.len() != before
        });
    }

    /// Waits until everything is there.
    pub(super) async fn ready(&self) {
        let mut waiting = self.waiting.subscribe();
        // The sender lives as long as `self`, so this ends only when the list is empty.
        let _ = waiting.wait_for(Vec::is_empty).await;
    }
}
