//! The closed list of return codes.

/// Declares the enum, its numbers and its texts in one table.
macro_rules! return_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal $label:literal;)+) => {
        /// Outcome of one command. Below 0x1000 the numbers are CloudHSM's own (HSM-62, HSM-83), above they are ours.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum ReturnCode { $($(#[$doc])* $name = $number,)+ }

        impl ReturnCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code with this number; `None` if there is none.
            #[must_use]
            pub fn from_u32(number: u32) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }

            /// Snake-case name: log field and metric label.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }
        }
    };
}

return_codes! {
    /// Done.
    Success = 0 "success";
    /// Wrong password, or no such user: not told apart on login (INV-60).
    LoginFailure = 163 "login_failure";
    /// No such key.
    InvalidObjectHandle = 0xa8 "invalid_object_handle";
    /// The key belongs to another user.
    KeyAccessDenied = 0xc6 "key_access_denied";
    /// The command needs a login, or a delegation, on this session.
    NotLoggedIn = 0x1000 "not_logged_in";
    /// The certificate's role or the user's type may not do this.
    RoleDenied = 0x1001 "role_denied";
    /// Five consecutive failures; only a CO's password change unlocks (INV-61).
    UserLocked = 0x1002 "user_locked";
    /// A user of this name exists and was not made by this operation id.
    UserExists = 0x1003 "user_exists";
    /// No such user (management commands only).
    UserNotFound = 0x1004 "user_not_found";
    /// The stored epoch is not the expected one; nothing changed and no failure was counted (P1).
    EpochMismatch = 0x1005 "epoch_mismatch";
    /// A higher fence has been handed out (P5).
    FenceTooLow = 0x1006 "fence_too_low";
    /// Another holder has the claim (INV-44).
    ClaimHeld = 0x1007 "claim_held";
    /// The generation is not registered, was dropped, or does not name this client's key (D12).
    DelegationNotLive = 0x1008 "delegation_not_live";
    /// The key is disabled or in conflict (INV-06, INV-49).
    KeyNotUsable = 0x1009 "key_not_usable";
    /// The key id exists and was made by another operation id; the reply body is the existing record (`ReadKeyReply`).
    KeyExists = 0x100a "key_exists";
    /// A field is missing, too long or malformed.
    InvalidArgument = 0x100b "invalid_argument";
    /// Not possible in the HSM's present state.
    WrongState = 0x100c "wrong_state";
    /// No space left; nothing was changed (INV-11).
    StorageFull = 0x100d "storage_full";
    /// The volume failed; the process stops (INV-09).
    StorageFailed = 0x100e "storage_failed";
    /// The HSM is joining or not activated.
    NotActive = 0x100f "not_active";
    /// Wrong context, wrong key, damaged or foreign ciphertext: not told apart (INV-60).
    CiphertextInvalid = 0x1010 "ciphertext_invalid";
    /// A frame or field exceeds its limit.
    MessageTooLarge = 0x1011 "message_too_large";
    /// No command has this number, or not on this port.
    UnknownCommand = 0x1012 "unknown_command";
    /// The request's deadline passed before work began.
    DeadlineExceeded = 0x1013 "deadline_exceeded";
    /// Too many requests in flight on this session.
    Busy = 0x1014 "busy";
    /// A fault of the HSM.
    Internal = 0x1015 "internal";
    /// The user is logged in on another session (HSM-33).
    UserBusy = 0x1016 "user_busy";
}

impl ReturnCode {
    /// Whether the command may have taken effect although it was not answered with success.
    #[must_use]
    pub fn is_indefinite(self) -> bool {
        matches!(self, Self::StorageFailed | Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_round_trips_and_unknown_numbers_have_none() {
        let known = (0..0x2_0000).filter_map(ReturnCode::from_u32).count();
        assert_eq!(known, ReturnCode::ALL.len());
        for code in ReturnCode::ALL {
            assert_eq!(ReturnCode::from_u32(*code as u32), Some(*code));
        }
        assert_eq!(ReturnCode::from_u32(u32::MAX), None);
    }
}
