//! The gateway's replicas as their Leases show them: who has stopped using a connection, who lives, who is lost (D12).
//!
//! As in the election, a Lease has ended when this process has watched it stand still for its whole duration: no clock is compared.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, ResourceExt, api::ListParams};
use operator_api::gateway_lease::{NAME_PREFIX, STOPPED_CONNECTIONS, stopped_through};
use operator_domain::connection::drain::Replica;

use super::{delegates::Connection, error::StoreError};
use crate::{
    context::Context,
    leader::{self, Observation, Verdict},
    read::ReadError,
};

/// Since when each replica's Lease has stood still; clones share what was seen.
#[derive(Clone, Debug, Default)]
pub struct Gateways(Arc<Mutex<HashMap<String, Observation>>>);

impl Gateways {
    /// The replicas that these Leases stand for, by the Lease's name, as seen at `now`. One that was given up stands for nobody.
    fn replicas(&self, leases: &[Lease], connection: &Connection, now: Instant) -> Vec<(String, Replica)> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|name, _| leases.iter().any(|lease| lease.name_any() == *name));
        let held = leases.iter().filter(|lease| is_held_by_a_gateway(lease));
        held.map(|lease| {
            let observation = seen.entry(lease.name_any()).or_insert_with(|| Observation::new(String::new()));
            let ended = observation.judge(Some(leader::record(lease)), now) == Verdict::Take;
            let said = lease.annotations().get(STOPPED_CONNECTIONS);
            let said = said.and_then(|said| stopped_through(said, &connection.store_id));
            let generation = i64::try_from(connection.generation).unwrap_or(i64::MAX);
            (lease.name_any(), Replica::of(said, generation, ended))
        })
        .collect()
    }
}

fn is_held_by_a_gateway(lease: &Lease) -> bool {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    lease.name_any().starts_with(NAME_PREFIX) && holder.is_some_and(|holder| !holder.is_empty())
}

/// The replicas and what each has said about `connection`.
///
/// # Errors
/// When the API server does not answer.
pub(super) async fn replicas(context: &Context, connection: &Connection) -> Result<Vec<(String, Replica)>, StoreError> {
    let api = Api::<Lease>::namespaced(context.client.clone(), &context.namespaces().gateway);
    let leases = api.list(&ListParams::default()).await.map_err(ReadError::of("the gateway's Leases"))?;
    Ok(context.gateways.replicas(&leases.items, connection, Instant::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn lease(replica: &str, holder: &str, version: u32, said: &str) -> Lease {
        serde_json::from_value(serde_json::json!({
            "metadata": { "name": format!("gateway-{replica}"), "resourceVersion": version.to_string(),
                "annotations": { STOPPED_CONNECTIONS: said } },
            "spec": { "holderIdentity": holder, "leaseDurationSeconds": 30 },
        }))
        .unwrap()
    }

    fn connection() -> Connection {
        Connection { store_id: "cks-a".into(), generation: 7 }
    }

    fn seen(gateways: &Gateways, lease: Lease, at: Instant) -> Option<Replica> {
        gateways.replicas(&[lease], &connection(), at).pop().map(|(_, replica)| replica)
    }

    /// D12: a replica lives as long as its Lease moves, however wrong its clock is, and is lost when it stood still for its duration.
    #[test]
    fn a_replica_is_lost_when_its_lease_was_watched_standing_still_for_its_duration() {
        let (gateways, start) = (Gateways::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(seen(&gateways, lease("1", "1", 1, ""), start), Some(Replica::Serving), "however old it is");
        assert_eq!(seen(&gateways, lease("1", "1", 1, ""), after(29)), Some(Replica::Serving));
        assert_eq!(seen(&gateways, lease("1", "1", 2, ""), after(29)), Some(Replica::Serving), "it moved");
        assert_eq!(seen(&gateways, lease("1", "1", 2, ""), after(58)), Some(Replica::Serving));
        assert_eq!(seen(&gateways, lease("1", "1", 2, ""), after(59)), Some(Replica::Lost));
        assert_eq!(seen(&gateways, lease("1", "1", 3, ""), after(60)), Some(Replica::Serving), "it is back");
        assert_eq!(seen(&gateways, lease("1", "1", 4, "cks-b=9,cks-a=7"), after(60)), Some(Replica::Stopped));
    }

    #[test]
    fn only_leases_that_a_gateway_holds_stand_for_a_replica() {
        let gateways = Gateways::default();
        assert_eq!(seen(&gateways, lease("1", "", 1, ""), Instant::now()), None, "given up by a replica that drained");
        let mut other = lease("1", "1", 1, "");
        other.metadata.name = Some("another-lease".into());
        assert_eq!(seen(&gateways, other, Instant::now()), None);
    }
}
