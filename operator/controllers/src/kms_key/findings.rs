//! The conditions of a key: whether it was taken, whether it can be used, and what its owner does next. Pure.

use operator_api::kms_key::KeyState;
use operator_domain::{key::creation::Problem, refusal::Exception};

use super::error::KeyError;
use crate::{
    conditions::Finding,
    report::{Failure, chain},
};

/// What a reconcile came to.
#[derive(Clone, Copy)]
pub(super) struct Findings<'a> {
    /// What only the owner can change.
    pub(super) problem: Option<&'a Problem>,
    /// What ended the reconcile early.
    pub(super) error: Option<&'a KeyError>,
    /// The state that is shown; `None` until the material is durable.
    pub(super) shown: Option<KeyState>,
    /// `spec.materialFingerprint` is written: somebody may have used the key.
    pub(super) acknowledged: bool,
}

impl Findings<'_> {
    /// The conditions, in the order in which they are shown.
    pub(super) fn conditions(self) -> Vec<Finding> {
        let mut conditions = vec![self.accepted(), self.ready(), self.stalled()];
        if self.is_lost() {
            conditions.push(Finding::new("MaterialLost", true, "NoHsmHasIt", cure(&Problem::MaterialMissing)));
        }
        conditions
    }

    /// The message is the one that CreateKey answers with, so it speaks of nothing but the refusal.
    fn accepted(self) -> Finding {
        match self.problem.filter(|problem| problem.before_creation()) {
            Some(problem) => Finding::new("Accepted", false, problem.reason(), problem.to_string()),
            None => Finding::new("Accepted", true, "Accepted", ""),
        }
    }

    fn ready(self) -> Finding {
        let not = |reason, message: String| Finding::new("Ready", false, reason, message);
        match (self.problem, self.shown, self.error) {
            (Some(problem), ..) => not(self.reason(problem), next(problem)),
            (None, None, Some(error)) => not("CreatingMaterial", format!("{}; it is tried again", chain(error))),
            (None, None, None) => not("CreatingMaterial", String::new()),
            (None, Some(KeyState::Enabled), _) => Finding::new("Ready", true, "Enabled", ""),
            (None, Some(KeyState::Unavailable), _) => not(
                "Unavailable",
                "the custom key store is not CONNECTED: connect it (spec.connection: CONNECTED)".into(),
            ),
            (None, Some(KeyState::Disabled), _) => {
                not("Disabled", "the owner has disabled the key: EnableKey, or spec.enabled: true".into())
            }
            (None, Some(state), _) => not(state.as_str(), String::new()),
        }
    }

    /// A refused key is no standstill: it is made by itself as soon as its store can take it.
    fn stalled(self) -> Finding {
        match (self.problem, self.error) {
            (Some(problem), _) if !matches!(problem, Problem::Refused(_)) => {
                Finding::new("Stalled", true, self.reason(problem), cure(problem))
            }
            (None, Some(error @ KeyError::Malformed(_))) => {
                Finding::new("Stalled", true, error.reason(), format!("{error}: make a new KmsKey"))
            }
            _ => Finding::new("Stalled", false, "NotStalled", ""),
        }
    }

    fn is_lost(self) -> bool {
        self.acknowledged && self.problem == Some(&Problem::MaterialMissing)
    }

    fn reason(self, problem: &Problem) -> &'static str {
        if self.is_lost() { "MaterialLost" } else { problem.reason() }
    }
}

fn next(problem: &Problem) -> String {
    format!("{}. Next: {}", problem.to_string().trim_end_matches('.'), cure(problem))
}

/// What the owner does about a problem.
fn cure(problem: &Problem) -> String {
    match problem {
        Problem::Refused(refusal) => refused(refusal.exception).to_owned(),
        Problem::MaterialExists(id) => {
            format!("to adopt the existing key set spec.keyId to {id} (needs the verb adopt); for a new key use another name")
        }
        Problem::IdInUse(_) => {
            "delete this object (annotate it with keystores.dev/unprotect=true first); for a new key create it without spec.keyId, \
             spec.materialIntent and spec.materialFingerprint"
                .to_owned()
        }
        Problem::OriginalGone => {
            "bring that one back with `kubectl keystore recover`; or, to have the key under this name, delete this object (annotate it with \
             keystores.dev/unprotect=true first) and create it again, which needs the verb adopt"
                .to_owned()
        }
        Problem::MaterialMissing => {
            "bring back an HSM or restore a backup that has the material; it is never replaced (INV-13)".to_owned()
        }
        Problem::Conflict => {
            "find out which of the materials made the ciphertexts; until then the HSMs keep both and use neither (INV-06)"
                .to_owned()
        }
    }
}

fn refused(exception: Exception) -> &'static str {
    match exception {
        Exception::CustomKeyStoreNotFound => {
            "create the CustomKeyStore that customKeyStoreRef names, or see why it is not accepted; the key is then made by itself"
        }
        Exception::CustomKeyStoreInvalidState => "connect the custom key store; the key is then made by itself",
        Exception::CloudHsmClusterInvalidConfiguration => {
            "see that the cluster has an active HSM in each of two zones; the key is then made by itself"
        }
        _ => "change what is refused; the key is then made by itself",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use operator_api::reason::ID_IN_USE;
    use operator_domain::{identifier::KeyId, refusal::Refusal};

    fn of(problem: Option<&Problem>, shown: Option<KeyState>, acknowledged: bool) -> Vec<Finding> {
        Findings { problem, error: None, shown, acknowledged }.conditions()
    }

    fn value(conditions: &[Finding], kind: &str) -> Option<(bool, &'static str)> {
        let found = conditions.iter().find(|condition| condition.kind == kind)?;
        Some((found.holds == Some(true), found.reason))
    }

    #[test]
    fn a_refused_key_is_not_accepted_and_waits_without_stalling() {
        let refusal = Refusal::new(Exception::CustomKeyStoreInvalidState, "not connected");
        let conditions = of(Some(&refusal.into()), None, false);
        let refused = Some((false, "CustomKeyStoreInvalidStateException"));
        assert_eq!((value(&conditions, "Accepted"), value(&conditions, "Ready")), (refused, refused));
        assert_eq!(value(&conditions, "Stalled"), Some((false, "NotStalled")));
        assert_eq!(conditions[0].message, "not connected", "CreateKey answers with exactly this");
    }

    /// D2.
    #[test]
    fn an_old_name_says_which_key_to_adopt() {
        let id = KeyId::from_bytes([7; 16]);
        let conditions = of(Some(&Problem::MaterialExists(id)), None, false);
        assert_eq!(value(&conditions, "Accepted"), Some((false, "MaterialExists")));
        assert_eq!(value(&conditions, "Stalled"), Some((true, "MaterialExists")));
        assert!(conditions[1].message.contains(&format!("spec.keyId to {id}")), "{}", conditions[1].message);
    }

    /// D2.
    #[test]
    fn a_copied_key_says_whose_its_id_is_and_how_to_get_rid_of_it() {
        let conditions = of(Some(&Problem::IdInUse("original".into())), None, true);
        for kind in ["Accepted", "Ready"] {
            assert_eq!(value(&conditions, kind), Some((false, "IdInUse")));
        }
        assert_eq!(value(&conditions, "Stalled"), Some((true, "IdInUse")));
        let ready = &conditions[1].message;
        assert!(ready.contains("KmsKey original") && ready.contains("unprotect=true"), "{ready}");
    }

    /// D2: the reason stays, because by that the next look knows the copy.
    #[test]
    fn a_copy_whose_original_is_gone_says_how_either_of_them_gets_the_key() {
        let conditions = of(Some(&Problem::OriginalGone), None, true);
        for kind in ["Accepted", "Ready"] {
            assert_eq!(value(&conditions, kind), Some((false, ID_IN_USE)));
        }
        assert_eq!(value(&conditions, "Stalled"), Some((true, ID_IN_USE)));
        let ready = &conditions[1].message;
        for part in ["is gone", "keystore recover", "unprotect=true", "verb adopt"] {
            assert!(ready.contains(part), "{part}: {ready}");
        }
    }

    /// INV-06, INV-13: such a key was accepted once; it is unusable, not unmade.
    #[test]
    fn a_key_that_lost_its_material_or_has_two_stays_accepted_and_is_stalled() {
        for (problem, acknowledged, reason) in [
            (Problem::MaterialMissing, true, "MaterialLost"),
            (Problem::MaterialMissing, false, "MaterialMissing"),
            (Problem::Conflict, true, "MaterialConflict"),
        ] {
            let conditions = of(Some(&problem), Some(KeyState::Unavailable), acknowledged);
            assert_eq!(value(&conditions, "Accepted"), Some((true, "Accepted")));
            assert_eq!(value(&conditions, "Ready"), Some((false, reason)));
            assert_eq!(value(&conditions, "Stalled"), Some((true, reason)));
            assert_eq!(value(&conditions, "MaterialLost").is_some(), reason == "MaterialLost");
        }
    }

    #[test]
    fn only_an_enabled_key_is_ready_and_every_other_state_says_what_to_do() {
        assert_eq!(value(&of(None, Some(KeyState::Enabled), true), "Ready"), Some((true, "Enabled")));
        for state in [KeyState::Disabled, KeyState::Unavailable] {
            let conditions = of(None, Some(state), true);
            assert_eq!(value(&conditions, "Ready"), Some((false, state.as_str())));
            assert!(conditions[1].message.contains("spec."), "{state:?}");
        }
    }
}
