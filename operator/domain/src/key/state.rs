//! Key states: what the owner decided (base) and what is shown while the store is connected or not (spec 2.11, 3.6).

use strum::{EnumIter, EnumString, IntoStaticStr};

/// AWS `KeyState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[allow(missing_docs)]
pub enum KeyState {
    Creating,
    Enabled,
    Disabled,
    PendingDeletion,
    PendingImport,
    PendingReplicaDeletion,
    Unavailable,
    Updating,
}

impl KeyState {
    /// AWS's spelling, for example `PendingDeletion`.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The state that user actions alone decide. It survives every connect and disconnect (CKS-90, INV-35).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter)]
#[allow(missing_docs)]
pub enum BaseState {
    Enabled,
    Disabled,
    PendingDeletion,
}

impl BaseState {
    /// The base state that a key's declaration asks for.
    ///
    /// `enabled` absent means enabled; `held` (DisableKey through the API) overrides it (D17); a scheduled deletion
    /// overrides both.
    pub fn declared(enabled: Option<bool>, held: bool, deletion_scheduled: bool) -> Self {
        if deletion_scheduled {
            Self::PendingDeletion
        } else if held || enabled == Some(false) {
            Self::Disabled
        } else {
            Self::Enabled
        }
    }

    /// The state to show for a key in a custom key store, by the table of spec 2.11.
    ///
    /// `store_connected` means connection state CONNECTED and nothing else; whether the cluster answers does not matter
    /// (CKS-94, D3).
    pub fn shown(self, store_connected: bool) -> KeyState {
        match self {
            Self::PendingDeletion => KeyState::PendingDeletion,
            Self::Enabled | Self::Disabled if !store_connected => KeyState::Unavailable,
            Self::Enabled => KeyState::Enabled,
            Self::Disabled => KeyState::Disabled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn the_shown_state_follows_the_table_of_2_11() {
        let table = [
            (BaseState::Enabled, KeyState::Enabled, KeyState::Unavailable),
            (BaseState::Disabled, KeyState::Disabled, KeyState::Unavailable),
            (BaseState::PendingDeletion, KeyState::PendingDeletion, KeyState::PendingDeletion),
        ];
        assert_eq!(table.len(), BaseState::iter().count());
        for (base, connected, otherwise) in table {
            assert_eq!((base.shown(true), base.shown(false)), (connected, otherwise), "{base:?}");
        }
    }

    #[test]
    fn disabling_while_unavailable_shows_when_the_store_is_back_scn_1() {
        let base = BaseState::declared(Some(false), false, false);
        assert_eq!(base.shown(false), KeyState::Unavailable);
        assert_eq!(base.shown(true), KeyState::Disabled);
    }

    #[test]
    fn a_hold_disables_whatever_the_manifest_says_d17() {
        for enabled in [None, Some(true), Some(false)] {
            assert_eq!(BaseState::declared(enabled, true, false), BaseState::Disabled);
        }
        assert_eq!(BaseState::declared(None, false, false), BaseState::Enabled);
        assert_eq!(BaseState::declared(Some(true), false, false), BaseState::Enabled);
    }

    #[test]
    fn a_scheduled_deletion_wins_over_enabled_and_disabled() {
        assert_eq!(BaseState::declared(Some(true), false, true), BaseState::PendingDeletion);
        assert_eq!(BaseState::declared(Some(false), true, true), BaseState::PendingDeletion);
    }
}
