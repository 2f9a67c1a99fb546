//! To which of several objects of one kind an id belongs (D2): a manifest that was copied along with its set-once fields says what its original says.
//!
//! The copy must do nothing: whatever is done under an id is done to the HSMs, the claims and the connection of the object that the id belongs to.

use std::cmp::Reverse;

use jiff::Timestamp;
use kube::{Api, ResourceExt, api::ListParams};
use operator_api::{RecordedKind, RecoveryRecord};

use crate::{
    context::Context,
    read::ReadError,
    recovery::{self, RecoveryError},
    write::Object,
};

/// A kind whose objects stand for what their id names.
pub trait Identified: Object {
    /// The kind.
    const RECORDED: RecordedKind;

    /// The id, once the object has one.
    fn id(&self) -> Option<&str>;

    /// Whether the controllers have put the object in charge of what the id names: the status shows it, or what else no manifest can say.
    fn is_in_charge(&self) -> bool;
}

/// What speaks for an object that says an id; the highest has it. In this order: it is in charge already; its name is recorded for the id, as
/// after a restore, and for an object that is younger than those of other names, as it is when they lost the id to it; it is the oldest, because a
/// copy is younger than its original.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    in_charge: bool,
    /// When the recorded object was created; records of older versions do not say.
    recorded: Option<Option<Timestamp>>,
    /// The uid decides between objects of one second.
    age: Reverse<(Option<Timestamp>, Option<String>)>,
}

impl Right {
    fn of<K: Identified>(object: &K, records: &[RecoveryRecord]) -> Self {
        let standing = records.iter().filter(|record| record.removed.is_none() && record.identity() == object.id());
        Self {
            in_charge: object.is_in_charge(),
            recorded: standing.map(|record| record.created.as_ref().map(|time| time.0)).max(),
            age: Reverse((object.creation_timestamp().map(|time| time.0), object.uid())),
        }
    }
}

/// The object that the id of `object` belongs to, if that is another one. By a quorum list, because irreversible steps follow (INV-71).
///
/// # Errors
/// [`RecoveryError`]; then nothing may be done under the id.
pub async fn owner<K: Identified>(context: &Context, object: &K) -> Result<Option<K>, RecoveryError> {
    let Some(id) = object.id() else { return Ok(None) };
    let api = Api::<K>::all(context.client.clone());
    let listed = api.list(&ListParams::default()).await;
    let all = listed.map_err(ReadError::of(format!("the objects of kind {}", K::RECORDED.as_str())))?;
    let mut others = all.items;
    others.retain(|other| other.uid() != object.uid() && other.id() == Some(id));
    owner_among(context, object, others).await
}

/// The one of `others`, which all say the id of `object`, that the id belongs to; `None` if it belongs to `object`.
///
/// # Errors
/// [`RecoveryError`]; then nothing may be done under the id.
pub async fn owner_among<K: Identified>(
    context: &Context,
    object: &K,
    others: Vec<K>,
) -> Result<Option<K>, RecoveryError> {
    // Whoever alone is in charge goes on, also while records cannot be read.
    if others.is_empty() || (object.is_in_charge() && !others.iter().any(K::is_in_charge)) {
        return Ok(None);
    }
    let (mut highest, mut owner) = (right(context, object).await?, None);
    for other in others {
        let right = right(context, &other).await?;
        if right > highest {
            (highest, owner) = (right, Some(other));
        }
    }
    Ok(owner)
}

async fn right<K: Identified>(context: &Context, object: &K) -> Result<Right, RecoveryError> {
    let namespace = object.namespace().unwrap_or_default();
    let records = recovery::lookup(context, K::RECORDED, &namespace, &object.name_any()).await?;
    Ok(Right::of(object, &records))
}

/// What whoever made the copy reads: whose the id is, as far as its namespace may know (INV-67), and what to do.
#[must_use]
pub fn refusal<K: Identified>(copy: &K, owner: &K) -> String {
    let (kind, fields) = (K::RECORDED.as_str(), K::RECORDED.identity_fields());
    let whose = if copy.namespace() == owner.namespace() {
        format!("{kind} {}", owner.name_any())
    } else {
        format!("a {kind} of another namespace")
    };
    let field = fields.first().copied().unwrap_or("name");
    let without = fields.iter().map(|field| format!("spec.{field}")).collect::<Vec<_>>().join(", ");
    format!(
        "spec.{field} {} belongs to {whose}, which goes on undisturbed; nothing is done for this object, which seems to be a copy of it. \
         Next: delete this one (annotate it with keystores.dev/unprotect=true first); for something new create it without {without}",
        copy.id().unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use operator_api::{CustomKeyStore, CustomKeyStoreSpec, CustomKeyStoreStatus};

    const ID: &str = "cks-1234567890abcdef0";

    fn store(name: &str, second: i64) -> CustomKeyStore {
        let spec = CustomKeyStoreSpec {
            custom_key_store_id: Some(ID.into()),
            trust_anchor_fingerprint: Some("ab".repeat(32)),
            ..CustomKeyStoreSpec::default()
        };
        let mut store = CustomKeyStore::new(name, spec);
        store.metadata.namespace = Some("team-a".into());
        store.metadata.uid = Some(format!("uid-of-{name}"));
        store.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        store
    }

    fn accepted(mut store: CustomKeyStore) -> CustomKeyStore {
        store.status = Some(CustomKeyStoreStatus {
            cloud_hsm_cluster_id: Some("cluster-abcdefghijkabcde".into()),
            trust_anchor_certificate: Some("PEM".into()),
            ..CustomKeyStoreStatus::default()
        });
        store
    }

    fn record(of: &CustomKeyStore) -> RecoveryRecord {
        RecoveryRecord::of(RecordedKind::CustomKeyStore, of)
    }

    /// Whether the first has a right above the second's.
    fn outranks(one: (&CustomKeyStore, &[RecoveryRecord]), two: (&CustomKeyStore, &[RecoveryRecord])) -> bool {
        Right::of(one.0, one.1) > Right::of(two.0, two.1)
    }

    /// D2: in each case the original is the first, the copy the second.
    #[test]
    fn a_copy_never_has_the_id_of_its_original() {
        let (original, copy) = (store("original", 10), store("a-copy", 20));
        let records = [record(&original)];
        assert!(outranks((&original, &[]), (&copy, &[])), "before either was looked at");
        assert!(outranks((&accepted(original.clone()), &records), (&copy, &[])), "in use");
        assert!(outranks((&accepted(original), &records), (&accepted(copy.clone()), &[])), "it came with a status");
        let restored = store("original", 30);
        assert!(outranks((&restored, &records), (&copy, &[])), "restored after the copy, without its status");
    }

    #[test]
    fn of_two_objects_of_one_second_exactly_one_has_the_id() {
        let (one, two) = (store("a", 10), store("b", 10));
        assert_ne!(outranks((&one, &[]), (&two, &[])), outranks((&two, &[]), (&one, &[])));
    }

    /// D2: an id was adopted under another name, and the manifest of its first one is applied again; or both names are restored.
    #[test]
    fn of_two_recorded_names_the_one_in_service_has_the_id_and_else_the_one_that_had_it_last() {
        let (first, later) = (store("first", 10), store("later", 20));
        let (of_first, of_later) = ([record(&first)], [record(&later)]);
        let again = store("first", 30);
        assert!(outranks((&accepted(later.clone()), &of_later), (&again, &of_first)), "it goes on");
        assert!(outranks((&later, &of_later), (&again, &of_first)), "both came back without a status");
        assert!(outranks((&accepted(again), &of_first), (&later, &of_later)), "whoever is in service stays so");
        let undated = RecoveryRecord { created: None, ..record(&first) };
        assert!(outranks((&later, &of_later), (&first, &[undated])), "a record of an older version");
    }

    /// INV-41: what was removed on purpose, and what stands for another id, speaks for nobody.
    #[test]
    fn only_a_standing_record_of_this_very_id_speaks_for_a_name() {
        let (older, younger) = (store("older", 10), store("younger", 20));
        let removed = RecoveryRecord { removed: Some(Time(Timestamp::UNIX_EPOCH)), ..record(&younger) };
        let mut other = younger.clone();
        other.spec.custom_key_store_id = Some("cks-22222222222222222".into());
        for useless in [removed, record(&other)] {
            assert!(outranks((&older, &[]), (&younger, &[useless])));
        }
        assert!(outranks((&younger, &[record(&younger)]), (&older, &[])));
    }

    /// INV-67.
    #[test]
    fn a_copy_is_told_whose_the_id_is_within_its_namespace_only_and_what_to_do() {
        let (owner, mut copy) = (store("original", 10), store("a-copy", 20));
        let told = refusal(&copy, &owner);
        for part in [ID, "CustomKeyStore original", "unprotect", "without spec.customKeyStoreId, spec.trustAnchor"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        copy.metadata.namespace = Some("team-b".into());
        let told = refusal(&copy, &owner);
        assert!(!told.contains("original") && !told.contains("team-a") && told.contains(ID), "{told}");
    }
}
