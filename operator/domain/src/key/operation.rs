//! Which operation a key state allows: the matrix of spec 3.6 for keys in a custom key store, with AWS's own texts.

use super::KeyState;
use crate::refusal::{Exception, Refusal};
use strum::{EnumIter, EnumString, IntoStaticStr};

/// The AWS operations on one key that keys in a custom key store support (spec 3.6, last paragraph).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumString, IntoStaticStr)]
#[allow(missing_docs)]
pub enum KeyOperation {
    CancelKeyDeletion,
    CreateAlias,
    Decrypt,
    DeleteAlias,
    DescribeKey,
    DisableKey,
    EnableKey,
    Encrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    GetKeyPolicy,
    ListAliases,
    ListResourceTags,
    PutKeyPolicy,
    ReEncrypt,
    ScheduleKeyDeletion,
    TagResource,
    UntagResource,
    UpdateAlias,
    UpdateKeyDescription,
}

/// How an operation relates to key states: the rows of the matrix, of which there are only a few different ones.
#[derive(Clone, Copy)]
enum Row {
    /// Allowed in every state.
    Always,
    /// Uses the key material.
    Cryptographic,
    /// Changes what is known about the key: allowed unless it is going away.
    Describes,
    /// EnableKey, DisableKey.
    Switches,
    /// ScheduleKeyDeletion.
    Schedules,
    /// CancelKeyDeletion.
    Cancels,
}

/// Whether `operation` may be done on the key `arn` while it is in `state`.
///
/// Called after lookup and authorisation, before anything about the store (KEY-37).
///
/// # Errors
/// The exception and text of the matrix' footnote; `[2] or [3]` is read as `[3]` (KEY-35).
pub fn permit(operation: KeyOperation, state: KeyState, arn: &str) -> Result<(), Refusal> {
    let Some((exception, complaint)) = objection(row(operation), state) else { return Ok(()) };
    Err(Refusal::new(exception, format!("{arn} {complaint}")))
}

fn row(operation: KeyOperation) -> Row {
    match operation {
        KeyOperation::DeleteAlias
        | KeyOperation::DescribeKey
        | KeyOperation::GetKeyPolicy
        | KeyOperation::ListAliases
        | KeyOperation::ListResourceTags
        | KeyOperation::PutKeyPolicy => Row::Always,
        KeyOperation::Decrypt
        | KeyOperation::Encrypt
        | KeyOperation::GenerateDataKey
        | KeyOperation::GenerateDataKeyWithoutPlaintext
        | KeyOperation::ReEncrypt => Row::Cryptographic,
        // For UpdateAlias the state is that of the key that gets the alias ([10]).
        KeyOperation::CreateAlias
        | KeyOperation::TagResource
        | KeyOperation::UntagResource
        | KeyOperation::UpdateAlias
        | KeyOperation::UpdateKeyDescription => Row::Describes,
        KeyOperation::DisableKey | KeyOperation::EnableKey => Row::Switches,
        KeyOperation::ScheduleKeyDeletion => Row::Schedules,
        KeyOperation::CancelKeyDeletion => Row::Cancels,
    }
}

/// The footnotes of spec 3.6, as the text after the key ARN.
mod footnote {
    use super::Exception;

    type Footnote = Option<(Exception, &'static str)>;

    pub(super) const DISABLED: Footnote = Some((Exception::Disabled, "is disabled."));
    pub(super) const PENDING_DELETION: Footnote =
        Some((Exception::KmsInvalidState, "is pending deletion (or pending replica deletion)."));
    pub(super) const NOT_PENDING_DELETION: Footnote =
        Some((Exception::KmsInvalidState, "is not pending deletion (or pending replica deletion)."));
    pub(super) const PENDING_IMPORT: Footnote = Some((Exception::KmsInvalidState, "is pending import."));
    pub(super) const UNAVAILABLE: Footnote = Some((Exception::KmsInvalidState, "is unavailable."));
    pub(super) const CREATING: Footnote = Some((Exception::KmsInvalidState, "is creating."));
    pub(super) const UPDATING: Footnote = Some((Exception::KmsInvalidState, "is updating."));
}

fn objection(row: Row, state: KeyState) -> Option<(Exception, &'static str)> {
    match row {
        Row::Always => None,
        Row::Cryptographic => cryptographic(state),
        Row::Describes => describes(state),
        Row::Switches => switches(state),
        Row::Schedules => schedules(state),
        Row::Cancels => cancels(state),
    }
}

fn cryptographic(state: KeyState) -> Option<(Exception, &'static str)> {
    match state {
        KeyState::Enabled | KeyState::Updating => None,
        KeyState::Disabled => footnote::DISABLED,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => footnote::PENDING_DELETION,
        KeyState::PendingImport => footnote::PENDING_IMPORT,
        KeyState::Unavailable => footnote::UNAVAILABLE,
        KeyState::Creating => footnote::CREATING,
    }
}

fn describes(state: KeyState) -> Option<(Exception, &'static str)> {
    match state {
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => footnote::PENDING_DELETION,
        KeyState::Enabled
        | KeyState::Disabled
        | KeyState::PendingImport
        | KeyState::Unavailable
        | KeyState::Creating
        | KeyState::Updating => None,
    }
}

fn switches(state: KeyState) -> Option<(Exception, &'static str)> {
    match state {
        // [12]: succeeds on an unavailable key and shows when the key is available again (CKS-91).
        KeyState::Enabled | KeyState::Disabled | KeyState::Unavailable => None,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => footnote::PENDING_DELETION,
        KeyState::PendingImport => footnote::PENDING_IMPORT,
        KeyState::Creating => footnote::CREATING,
        KeyState::Updating => footnote::UPDATING,
    }
}

fn schedules(state: KeyState) -> Option<(Exception, &'static str)> {
    match state {
        KeyState::Enabled
        | KeyState::Disabled
        | KeyState::PendingImport
        | KeyState::Unavailable
        | KeyState::Creating => None,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => footnote::PENDING_DELETION,
        KeyState::Updating => footnote::UPDATING,
    }
}

fn cancels(state: KeyState) -> Option<(Exception, &'static str)> {
    match state {
        // [13]: a key that is pending deletion stays so while its store is disconnected, so cancelling always works.
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => None,
        KeyState::Enabled
        | KeyState::Disabled
        | KeyState::PendingImport
        | KeyState::Unavailable
        | KeyState::Creating
        | KeyState::Updating => footnote::NOT_PENDING_DELETION,
    }
}

#[cfg(test)]
mod tests;
