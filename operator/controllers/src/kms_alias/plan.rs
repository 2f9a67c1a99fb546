//! Who has a name, and what it stands for: pure.

use kube::ResourceExt;
use operator_api::{KmsAlias, KmsKey};

/// AWS allows at most this many aliases per key (KEY-71).
const ALIASES_PER_KEY: usize = 50;

/// What becomes of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Plan {
    /// An older alias has the name (KEY-72).
    AlreadyExists {
        /// `metadata.name` of the older alias.
        holder: String,
    },
    /// The key has fifty older aliases.
    LimitExceeded,
    /// The name is ours; the target does not exist (KEY-72).
    TargetNotFound,
    /// The name is ours; the target has no key id yet.
    TargetNotReady,
    /// The name stands for this key id.
    Ready {
        /// Key id of the target.
        key_id: String,
    },
}

/// Decides; `siblings` are the aliases of the namespace, with or without `alias` itself.
pub(super) fn plan<'a>(
    alias: &KmsAlias,
    siblings: impl Iterator<Item = &'a KmsAlias>,
    target: Option<&KmsKey>,
) -> Plan {
    let older: Vec<_> = siblings.filter(|other| age(other) < age(alias) && other.uid() != alias.uid()).collect();
    if let Some(holder) = older.iter().find(|other| other.spec.alias_name == alias.spec.alias_name) {
        return Plan::AlreadyExists { holder: holder.name_any() };
    }
    if older.iter().filter(|other| other.spec.target_key_ref == alias.spec.target_key_ref).count() >= ALIASES_PER_KEY {
        return Plan::LimitExceeded;
    }
    match target.map(|key| key.spec.key_id.clone()) {
        None => Plan::TargetNotFound,
        Some(None) => Plan::TargetNotReady,
        Some(Some(key_id)) => Plan::Ready { key_id },
    }
}

/// Order of creation; names decide between objects of one second.
fn age(alias: &KmsAlias) -> (Option<jiff::Timestamp>, String) {
    (alias.creation_timestamp().map(|time| time.0), alias.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use operator_api::{KmsAliasSpec, KmsKeySpec, reference::LocalReference};

    fn alias(name: &str, alias_name: &str, second: i64) -> KmsAlias {
        let spec = KmsAliasSpec { alias_name: alias_name.into(), target_key_ref: LocalReference::to("key") };
        let mut alias = KmsAlias::new(name, spec);
        alias.metadata.uid = Some(format!("uid-{name}"));
        alias.metadata.creation_timestamp = Some(Time(Timestamp::from_second(second).unwrap()));
        alias
    }

    fn key(id: Option<&str>) -> KmsKey {
        KmsKey::new("key", KmsKeySpec { key_id: id.map(Into::into), ..KmsKeySpec::default() })
    }

    #[test]
    fn the_first_of_two_aliases_with_one_name_has_it() {
        let (old, new) = (alias("b", "alias/x", 1), alias("a", "alias/x", 2));
        let all = [old.clone(), new.clone()];
        let target = key(Some("id"));
        assert_eq!(plan(&new, all.iter(), Some(&target)), Plan::AlreadyExists { holder: "b".into() });
        assert_eq!(plan(&old, all.iter(), Some(&target)), Plan::Ready { key_id: "id".into() });
    }

    #[test]
    fn of_two_aliases_of_one_second_exactly_one_has_the_name() {
        let all = [alias("a", "alias/x", 1), alias("b", "alias/x", 1)];
        let target = key(Some("id"));
        let ready =
            all.iter().filter(|alias| matches!(plan(alias, all.iter(), Some(&target)), Plan::Ready { .. })).count();
        assert_eq!(ready, 1);
    }

    #[test]
    fn the_fifty_first_alias_of_a_key_is_refused() {
        let all: Vec<_> = (0..51).map(|i| alias(&format!("a{i:02}"), &format!("alias/{i}"), 1)).collect();
        let target = key(Some("id"));
        assert_eq!(plan(&all[50], all.iter(), Some(&target)), Plan::LimitExceeded);
        assert_eq!(plan(&all[49], all.iter(), Some(&target)), Plan::Ready { key_id: "id".into() });
    }

    #[test]
    fn an_alias_waits_for_its_target() {
        let alias = alias("a", "alias/x", 1);
        assert_eq!(plan(&alias, [].iter(), None), Plan::TargetNotFound);
        assert_eq!(plan(&alias, [].iter(), Some(&key(None))), Plan::TargetNotReady);
    }
}
