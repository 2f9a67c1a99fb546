//! What the owner wants of a connection, and what is to be done about it next (D17).

use super::{ConnectionState, Event};

/// What a `CustomKeyStore` declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish<'a> {
    /// `spec.connection` is CONNECTED; absent counts as DISCONNECTED.
    pub connected: bool,
    /// `spec.hold` is present: an API call disconnected the store, whatever the manifest says.
    pub held: bool,
    /// `spec.connectionAttempt`.
    pub attempt: Option<&'a str>,
    /// `status.observedConnectionAttempt`: the attempt that was last acted on.
    pub observed_attempt: Option<&'a str>,
    /// The object is being deleted.
    pub deleted: bool,
}

/// What a reconcile has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Todo {
    /// The state is the wanted one, or waits for the owner (FAILED).
    Rest,
    /// Go on with the work of CONNECTING or DISCONNECTING.
    Continue,
    /// Give this event to the state machine: [`Event::Connect`] (after its preconditions) or [`Event::Disconnect`].
    Raise(Event),
}

/// The decision of one reconcile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// What to do now.
    pub todo: Todo,
    /// Value for `status.observedConnectionAttempt`, to be written together with the new state, so that one change of
    /// `connectionAttempt` causes one disconnect.
    pub observed_attempt: Option<&'a str>,
}

/// What to do about a store in `state` whose owner wishes `wish`.
pub fn decide<'a>(state: &ConnectionState, wish: &Wish<'a>) -> Decision<'a> {
    let wants_connection = wish.connected && !wish.held && !wish.deleted;
    let new_attempt = wish.attempt.is_some() && wish.attempt != wish.observed_attempt;
    let todo = match state {
        ConnectionState::Disconnected if wants_connection => Todo::Raise(Event::Connect),
        ConnectionState::Connecting { .. } | ConnectionState::Connected | ConnectionState::Failed(_)
            if !wants_connection || new_attempt =>
        {
            Todo::Raise(Event::Disconnect)
        }
        ConnectionState::Connecting { .. } | ConnectionState::Disconnecting => Todo::Continue,
        ConnectionState::Disconnected | ConnectionState::Connected | ConnectionState::Failed(_) => Todo::Rest,
    };
    // While DISCONNECTING an attempt is taken note of as well: the disconnect under way is the one that it asks for.
    Decision { todo, observed_attempt: wish.attempt.or(wish.observed_attempt) }
}

#[cfg(test)]
mod tests {
    use super::super::{ConnectionErrorCode, step};
    use super::*;
    use crate::timestamp::Timestamp;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(0);
    const FAILED: ConnectionState = ConnectionState::Failed(ConnectionErrorCode::InvalidCredentials);
    const STATES: [ConnectionState; 5] = [
        ConnectionState::Disconnected,
        ConnectionState::Connecting { since: NOW },
        ConnectionState::Connected,
        ConnectionState::Disconnecting,
        FAILED,
    ];

    fn connected() -> Wish<'static> {
        Wish { connected: true, ..Wish::default() }
    }

    #[test]
    fn failed_rests_while_the_wish_is_unchanged_inv_32() {
        assert_eq!(decide(&FAILED, &connected()).todo, Todo::Rest);
    }

    #[test]
    fn a_changed_attempt_leaves_failed_by_one_disconnect_and_connects_again() {
        let wish = Wish { attempt: Some("2"), observed_attempt: Some("1"), ..connected() };
        let decision = decide(&FAILED, &wish);
        assert_eq!(decision, Decision { todo: Todo::Raise(Event::Disconnect), observed_attempt: Some("2") });
        let later = Wish { observed_attempt: decision.observed_attempt, ..wish };
        assert_eq!(decide(&ConnectionState::Disconnecting, &later).todo, Todo::Continue);
        assert_eq!(decide(&ConnectionState::Disconnected, &later).todo, Todo::Raise(Event::Connect));
        assert_eq!(decide(&ConnectionState::Connected, &later).todo, Todo::Rest);
        assert_eq!(decide(&FAILED, &later).todo, Todo::Rest);
    }

    #[test]
    fn removing_the_attempt_is_no_change() {
        let wish = Wish { attempt: None, observed_attempt: Some("1"), ..connected() };
        assert_eq!(
            decide(&ConnectionState::Connected, &wish),
            Decision { todo: Todo::Rest, observed_attempt: Some("1") }
        );
    }

    #[test]
    fn a_hold_overrides_the_manifest_and_its_attempts_d17() {
        let wish = Wish { held: true, attempt: Some("2"), observed_attempt: Some("1"), ..connected() };
        assert_eq!(decide(&ConnectionState::Connected, &wish).todo, Todo::Raise(Event::Disconnect));
        assert_eq!(decide(&ConnectionState::Disconnected, &wish).todo, Todo::Rest);
    }

    #[test]
    fn an_absent_connection_is_disconnected() {
        assert_eq!(decide(&ConnectionState::Disconnected, &Wish::default()).todo, Todo::Rest);
        assert_eq!(decide(&ConnectionState::Connected, &Wish::default()).todo, Todo::Raise(Event::Disconnect));
    }

    proptest! {
        #[test]
        fn whatever_is_raised_is_allowed_and_no_wish_needs_two_disconnects(
            state in prop::sample::select(STATES.to_vec()),
            connected: bool, held: bool, deleted: bool,
            attempt in prop::option::of("[ab]"), observed in prop::option::of("[ab]"),
        ) {
            let wish = Wish { connected, held, deleted, attempt: attempt.as_deref(), observed_attempt: observed.as_deref() };
            let decision = decide(&state, &wish);
            if let Todo::Raise(event) = decision.todo {
                let next = step(&state, event, NOW);
                prop_assert!(next.is_ok());
                let later = Wish { observed_attempt: decision.observed_attempt, ..wish };
                let after = decide(&next.unwrap().state, &later).todo;
                prop_assert_eq!(after, Todo::Continue);
            }
        }
    }
}
