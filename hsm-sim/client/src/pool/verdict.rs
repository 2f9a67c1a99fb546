//! What the failure on one HSM means for the request: give up, ask another, or believe it only if all say so.

use crate::error::HsmError;
use hsm_protocol::ReturnCode;

/// What to do after one HSM failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every HSM would say the same.
    Final(ReturnCode),
    /// True of this HSM; another one may have the key, or the delegation, that this one lacks.
    UnlessAnotherCan(ReturnCode),
    /// This HSM is in trouble; the request is not.
    AskAnother,
}

pub(super) fn judge(error: &HsmError) -> Verdict {
    match error {
        HsmError::Refused(code) => judge_code(*code),
        HsmError::Disconnected | HsmError::Timeout | HsmError::Protocol(_) => Verdict::AskAnother,
    }
}

fn judge_code(code: ReturnCode) -> Verdict {
    match code {
        // A key is acknowledged when two HSMs have it (D8): the third may still lack it. A generation may be
        // registered on one HSM a moment before the next.
        ReturnCode::InvalidObjectHandle | ReturnCode::DelegationNotLive | ReturnCode::NotLoggedIn => {
            Verdict::UnlessAnotherCan(code)
        }
        ReturnCode::NotActive
        | ReturnCode::WrongState
        | ReturnCode::Busy
        | ReturnCode::DeadlineExceeded
        | ReturnCode::StorageFull
        | ReturnCode::StorageFailed
        | ReturnCode::Internal => Verdict::AskAnother,
        ReturnCode::Success
        | ReturnCode::LoginFailure
        | ReturnCode::KeyAccessDenied
        | ReturnCode::RoleDenied
        | ReturnCode::UserLocked
        | ReturnCode::UserExists
        | ReturnCode::UserNotFound
        | ReturnCode::EpochMismatch
        | ReturnCode::FenceTooLow
        | ReturnCode::ClaimHeld
        | ReturnCode::KeyNotUsable
        | ReturnCode::KeyExists
        | ReturnCode::InvalidArgument
        | ReturnCode::CiphertextInvalid
        | ReturnCode::MessageTooLarge
        | ReturnCode::UnknownCommand
        | ReturnCode::UserBusy => Verdict::Final(code),
    }
}

/// The refusal that stands after a round over a pool of `size` HSMs, if any.
///
/// A missing key is believed only when every HSM was asked and lacks it: the one that could not be asked may have it.
/// A dead delegation is believed as soon as everyone who was asked says so: disconnecting drops it on the reachable
/// HSMs and must not be outvoted by the others (D12).
pub(super) fn unanimous(refusals: &[ReturnCode], size: usize) -> Option<ReturnCode> {
    let first = *refusals.first()?;
    let everyone_agrees = refusals.iter().all(|code| *code == first);
    let everyone_asked = refusals.len() == size;
    match first {
        ReturnCode::DelegationNotLive | ReturnCode::NotLoggedIn => everyone_agrees.then_some(first),
        _ => (everyone_agrees && everyone_asked).then_some(first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_answer_sends_the_request_to_another_hsm_and_a_bad_ciphertext_does_not() {
        for error in [HsmError::Disconnected, HsmError::Timeout, HsmError::Refused(ReturnCode::NotActive)] {
            assert_eq!(judge(&error), Verdict::AskAnother);
        }
        for code in [ReturnCode::CiphertextInvalid, ReturnCode::KeyNotUsable, ReturnCode::KeyAccessDenied] {
            assert_eq!(judge(&HsmError::Refused(code)), Verdict::Final(code));
        }
    }

    #[test]
    fn a_missing_key_is_believed_only_when_all_hsms_lack_it() {
        let missing = ReturnCode::InvalidObjectHandle;
        assert_eq!(unanimous(&[], 3), None);
        assert_eq!(unanimous(&[missing, missing], 3), None);
        assert_eq!(unanimous(&[missing; 3], 3), Some(missing));
    }

    #[test]
    fn a_dropped_delegation_is_believed_from_the_hsms_that_could_be_asked() {
        assert_eq!(unanimous(&[ReturnCode::DelegationNotLive], 3), Some(ReturnCode::DelegationNotLive));
        assert_eq!(unanimous(&[ReturnCode::DelegationNotLive, ReturnCode::InvalidObjectHandle], 2), None);
    }
}
