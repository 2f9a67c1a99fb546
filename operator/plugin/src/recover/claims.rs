//! Which records say one identity: more than one, if it was adopted under another name after its object was lost (D2).

use std::collections::BTreeMap;

use jiff::Timestamp;
use operator_api::{RecordedKind, RecoveryRecord};

/// The records of each identity, by kind and namespace.
pub(super) struct Claims<'a>(BTreeMap<(RecordedKind, &'a str, &'a str), Vec<&'a RecoveryRecord>>);

impl<'a> Claims<'a> {
    pub(super) fn of(records: &[(RecordedKind, &'a RecoveryRecord)]) -> Self {
        let mut claims = BTreeMap::<_, Vec<_>>::new();
        for (kind, record) in records.iter().copied() {
            if let Some(identity) = record.identity() {
                claims.entry((kind, record.namespace(), identity)).or_default().push(record);
            }
        }
        Self(claims)
    }

    /// Of the records of other names that say the identity of `record` and that count, the one of the youngest object, unless that is known to be
    /// older than the object of `record`.
    pub(super) fn rival(
        &self,
        kind: RecordedKind,
        record: &RecoveryRecord,
        counts: impl Fn(&RecoveryRecord) -> bool,
    ) -> Option<&'a RecoveryRecord> {
        let claimants = self.0.get(&(kind, record.namespace(), record.identity()?))?;
        let others = claimants.iter().copied().filter(|other| other.name() != record.name() && counts(other));
        others.filter(|other| created(other) >= created(record)).max_by_key(|other| created(other))
    }
}

/// When the object was created that a record was last written for.
pub(super) fn created(record: &RecoveryRecord) -> Option<Timestamp> {
    record.created.as_ref().map(|time| time.0)
}
