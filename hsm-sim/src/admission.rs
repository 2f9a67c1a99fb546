//! Which command may come from whom, in which order and in which state: one table each.

use hsm_protocol::message::HsmState;
use hsm_protocol::{ClientRole, Command, ReturnCode};

use crate::vault::Outcome;

/// Which role may send what. A gateway uses keys and nothing else.
pub(crate) fn check_role(command: Command, role: ClientRole) -> Outcome<()> {
    let allowed = match command {
        Command::Hello
        | Command::Encrypt
        | Command::Decrypt
        | Command::GenerateDataKey
        | Command::GenerateRandom
        | Command::ReadKey => true,
        Command::OpenDelegation => role == ClientRole::Gateway,
        _ => matches!(role, ClientRole::Controllers | ClientRole::Owner),
    };
    if allowed { Ok(()) } else { Err(ReturnCode::RoleDenied) }
}

/// Hello first, and once: a client that does not ask who is there has not been let in by the one it means (INV-65).
pub(crate) fn check_order(command: Command, has_greeted: bool) -> Outcome<()> {
    if has_greeted == (command != Command::Hello) { Ok(()) } else { Err(ReturnCode::WrongState) }
}

/// Which state serves what. Before the start-up comparison with the peers nothing but the state is told (INV-59).
pub(crate) fn check_state(command: Command, state: HsmState, compared: bool) -> Outcome<()> {
    let always = matches!(command, Command::Hello | Command::HsmInfo);
    let before_activation = matches!(
        command,
        Command::Login
            | Command::Logout
            | Command::UserInfo
            | Command::ListUsers
            | Command::ChangePassword
            | Command::AcquireFence
    );
    let allowed = match state {
        HsmState::Active => always || compared,
        HsmState::Initialized => always || (before_activation && compared),
        HsmState::Joining | HsmState::Assigned | HsmState::Blank | HsmState::Unspecified => always,
    };
    if allowed { Ok(()) } else { Err(ReturnCode::NotActive) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The gateway's whole list (architecture, "Roles of client certificates").
    #[test]
    fn a_gateway_certificate_may_say_hello_open_a_delegation_and_use_keys_and_nothing_else() {
        let allowed = [
            Command::Hello,
            Command::OpenDelegation,
            Command::Encrypt,
            Command::Decrypt,
            Command::GenerateDataKey,
            Command::GenerateRandom,
            Command::ReadKey,
        ];
        for command in Command::ALL {
            assert_eq!(check_role(*command, ClientRole::Gateway).is_ok(), allowed.contains(command), "{command:?}");
        }
    }

    #[test]
    fn hello_comes_first_and_once() {
        for command in Command::ALL {
            let is_hello = *command == Command::Hello;
            assert_eq!(check_order(*command, false).is_ok(), is_hello, "{command:?} first");
            assert_eq!(check_order(*command, true).is_ok(), !is_hello, "{command:?} after Hello");
        }
    }

    #[test]
    fn nothing_but_the_state_is_told_before_activation_joining_or_the_comparison_is_over() {
        for command in Command::ALL {
            let told = matches!(command, Command::Hello | Command::HsmInfo);
            for state in [HsmState::Blank, HsmState::Assigned, HsmState::Joining] {
                assert_eq!(check_state(*command, state, true).is_ok(), told, "{command:?} {state:?}");
            }
            assert_eq!(check_state(*command, HsmState::Active, false).is_ok(), told, "{command:?}");
            assert!(check_state(*command, HsmState::Active, true).is_ok());
        }
        for crypto in [Command::Encrypt, Command::GenerateKey, Command::CreateUser, Command::OpenDelegation] {
            assert_eq!(check_state(crypto, HsmState::Initialized, true), Err(ReturnCode::NotActive));
        }
    }
}
