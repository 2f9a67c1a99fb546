//! The connected stores as the requests of one core see them: nothing that another core writes to is on their way.

use std::sync::Arc;

use super::connections::Connections;
use crate::crypto::{ConnectedStores, StoreCrypto};

/// The stores of core number `core`.
pub(super) struct CoreStores {
    pub(super) connections: Arc<Connections>,
    pub(super) core: usize,
}

impl ConnectedStores for CoreStores {
    fn store(&self, namespace: &str, custom_key_store_id: &str, generation: i64) -> Option<Arc<dyn StoreCrypto>> {
        let store = self.connections.on_core(self.core, namespace, custom_key_store_id, generation)?;
        Some(store)
    }
}
