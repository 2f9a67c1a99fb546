//! What this HSM may refuse; counted in `hsm_refusals_total{refused}` and logged within limits.

use std::borrow::Cow;

use hsm_protocol::{Command, ReturnCode};
use refusal_log::Kind;

/// Counter and limit of each kind.
pub(crate) type Refusals = refusal_log::Refusals<Refused>;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A connection: too many are open.
    Connection,
    /// A TLS handshake, or the certificate in it.
    Handshake,
    /// A delegation, or the use of one that has ended (D12).
    Delegation,
    /// A signed statement, or a certificate, of the operator.
    Signature,
    /// A command: the role, the login, the fence or the roster does not allow it, or this port does not know it.
    Command,
    /// Bytes that are no request; they end the session.
    Frame,
}

impl Kind for Refused {
    const ALL: &'static [Self] =
        &[Self::Connection, Self::Handshake, Self::Delegation, Self::Signature, Self::Command, Self::Frame];

    fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Handshake => "handshake",
            Self::Delegation => "delegation",
            Self::Signature => "signature",
            Self::Command => "command",
            Self::Frame => "frame",
        }
    }
}

/// Whether the answer is a refusal of who asks, or of asking now, rather than of what is asked. OpenDelegation says why by itself.
///
/// Our own clients keep the order and log in first, so whoever does not is worth a line. A `WrongState` of a command that was admitted
/// tells of a stale version or of a user that owns keys, which the controllers meet in their daily work.
pub(crate) fn refused(number: u16, code: ReturnCode, admitted: bool) -> Option<Refused> {
    let Some(command) = Command::from_u16(number) else { return Some(Refused::Command) };
    match code {
        ReturnCode::RoleDenied
        | ReturnCode::NotLoggedIn
        | ReturnCode::LoginFailure
        | ReturnCode::UserLocked
        | ReturnCode::KeyAccessDenied
        | ReturnCode::FenceTooLow
        | ReturnCode::UnknownCommand => Some(Refused::Command),
        // Of two Hellos at once both are admitted, and one is served.
        ReturnCode::WrongState if !admitted || command == Command::Hello => Some(Refused::Command),
        // A login that was made for another outer session: somebody relays it (INV-65).
        ReturnCode::InvalidArgument if command == Command::Login => Some(Refused::Command),
        ReturnCode::DelegationNotLive if command != Command::OpenDelegation => Some(Refused::Delegation),
        _ => None,
    }
}

/// A command as the log names it; one that nobody knows has only its number.
pub(crate) fn command_name(number: u16) -> Cow<'static, str> {
    Command::from_u16(number).map_or_else(|| format!("command {number:#06x}").into(), |command| command.name().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_no_right_or_no_turn_is_refused_and_what_cannot_be_done_is_no_refusal() {
        let (command, delegation) = (Some(Refused::Command), Some(Refused::Delegation));
        for (asked, code, admitted, expected) in [
            (Command::Encrypt, ReturnCode::WrongState, false, command),
            (Command::SetKeyState, ReturnCode::WrongState, false, command),
            (Command::Hello, ReturnCode::WrongState, false, command),
            (Command::Hello, ReturnCode::WrongState, true, command),
            (Command::Encrypt, ReturnCode::RoleDenied, false, command),
            (Command::Encrypt, ReturnCode::NotLoggedIn, true, command),
            (Command::SetKeyState, ReturnCode::KeyAccessDenied, true, command),
            (Command::Login, ReturnCode::LoginFailure, true, command),
            (Command::Login, ReturnCode::InvalidArgument, true, command),
            (Command::DropGeneration, ReturnCode::FenceTooLow, true, command),
            (Command::PeerHello, ReturnCode::UnknownCommand, true, command),
            (Command::PeerHello, ReturnCode::RoleDenied, true, command),
            (Command::Encrypt, ReturnCode::DelegationNotLive, true, delegation),
            (Command::OpenDelegation, ReturnCode::DelegationNotLive, true, None),
            (Command::SetKeyState, ReturnCode::WrongState, true, None),
            (Command::DeleteUser, ReturnCode::WrongState, true, None),
            (Command::Encrypt, ReturnCode::NotActive, false, None),
            (Command::Encrypt, ReturnCode::InvalidArgument, true, None),
            (Command::ReadKey, ReturnCode::InvalidObjectHandle, true, None),
            (Command::ClaimCluster, ReturnCode::ClaimHeld, true, None),
            (Command::Encrypt, ReturnCode::Success, true, None),
        ] {
            assert_eq!(refused(asked as u16, code, admitted), expected, "{asked:?} {code:?}, admitted: {admitted}");
        }
    }

    #[test]
    fn a_command_that_nobody_knows_is_refused_and_named_by_its_number() {
        for admitted in [true, false] {
            assert_eq!(refused(0x0abc, ReturnCode::UnknownCommand, admitted), Some(Refused::Command));
        }
        assert_eq!(command_name(0x0abc), "command 0x0abc");
        assert_eq!(command_name(Command::Encrypt as u16), Command::Encrypt.name());
    }
}
