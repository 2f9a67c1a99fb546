//! The connection state machine: every state × every event, one function per state (spec 2.2, INV-38).

#![expect(
    clippy::match_same_arms,
    reason = "calls and results of work are decided apart, also where the answer is the same"
)]

use super::{ConnectionState, Effect, Event};
use crate::refusal::{Exception, Refusal};
use crate::timestamp::Timestamp;
use thiserror::Error;

/// The longest a connect may take (spec 2.6: up to 20 minutes); then it fails with INTERNAL_ERROR rather than hang.
pub const CONNECT_TIME_LIMIT_SECONDS: i64 = 20 * 60;

/// The state after an event and the work that the change asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state from now on.
    pub state: ConnectionState,
    /// Work to do, in this order.
    pub effects: Vec<Effect>,
}

/// The call is not allowed in this state: `CustomKeyStoreInvalidStateException`. Nothing changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("failed to do {event:?}: the connection state is {}", state.name().as_str())]
pub struct InvalidState {
    /// The state, unchanged.
    pub state: ConnectionState,
    /// The refused call.
    pub event: Event,
}

impl From<InvalidState> for Refusal {
    fn from(invalid: InvalidState) -> Self {
        let state = invalid.state.name().as_str();
        Self::new(
            Exception::CustomKeyStoreInvalidState,
            format!("The request was rejected because the connection state of the custom key store is {state}."),
        )
    }
}

/// What `event` does to a connection in `state` at time `now`.
///
/// Results of work that the state no longer waits for (a connect that succeeds after its disconnect) change nothing: the
/// effects of the change that overtook them undo them.
///
/// # Errors
/// [`InvalidState`] for a call that the table of spec 2.2 marks ISE.
pub fn step(state: &ConnectionState, event: Event, now: Timestamp) -> Result<Step, InvalidState> {
    let next = match state {
        ConnectionState::Disconnected => from_disconnected(event, now),
        ConnectionState::Connecting { since } => from_connecting(*since, event, now),
        ConnectionState::Connected => from_connected(event),
        ConnectionState::Disconnecting => from_disconnecting(event),
        ConnectionState::Failed(_) => from_failed(event),
    };
    match next {
        Next::Stay => Ok(Step { state: *state, effects: Vec::new() }),
        Next::Refuse => Err(InvalidState { state: *state, event }),
        Next::To(state, effects) => Ok(Step { state, effects: effects.to_vec() }),
    }
}

enum Next {
    Stay,
    Refuse,
    To(ConnectionState, &'static [Effect]),
}

fn from_disconnected(event: Event, now: Timestamp) -> Next {
    match event {
        Event::Connect => Next::To(ConnectionState::Connecting { since: now }, &[Effect::RunConnectSteps]),
        Event::UpdateName | Event::UpdateProperties | Event::Delete | Event::Describe => Next::Stay,
        Event::Disconnect | Event::CreateKey | Event::GenerateRandom => Next::Refuse,
        Event::ConnectSucceeded
        | Event::ConnectFailed(_)
        | Event::DisconnectFinished
        | Event::ClusterLost
        | Event::Tick => Next::Stay,
    }
}

fn from_connecting(since: Timestamp, event: Event, now: Timestamp) -> Next {
    use super::ConnectionErrorCode::InternalError;
    const GIVE_UP: &[Effect] =
        &[Effect::AbandonConnectSteps, Effect::DropGeneration, Effect::LogOut, Effect::RecordLastError];
    match event {
        Event::Connect | Event::Describe => Next::Stay,
        Event::Disconnect => Next::To(
            ConnectionState::Disconnecting,
            &[
                Effect::AbandonConnectSteps,
                Effect::DropGeneration,
                Effect::AwaitGateways,
                Effect::LogOut,
                Effect::ReleaseNetwork,
            ],
        ),
        Event::UpdateName | Event::UpdateProperties | Event::Delete | Event::CreateKey | Event::GenerateRandom => {
            Next::Refuse
        }
        Event::ConnectSucceeded => Next::To(ConnectionState::Connected, &[]),
        Event::ConnectFailed(code) => Next::To(ConnectionState::Failed(code), GIVE_UP),
        Event::Tick if now >= since.plus_seconds(CONNECT_TIME_LIMIT_SECONDS) => {
            Next::To(ConnectionState::Failed(InternalError), GIVE_UP)
        }
        // The step being worked on notices a lost cluster itself and says which code it is.
        Event::Tick | Event::ClusterLost | Event::DisconnectFinished => Next::Stay,
    }
}

fn from_connected(event: Event) -> Next {
    match event {
        Event::Connect | Event::UpdateName | Event::Describe | Event::CreateKey | Event::GenerateRandom => Next::Stay,
        Event::Disconnect => Next::To(
            ConnectionState::Disconnecting,
            &[Effect::DropGeneration, Effect::AwaitGateways, Effect::LogOut, Effect::ReleaseNetwork],
        ),
        Event::UpdateProperties | Event::Delete => Next::Refuse,
        // CKS-10, D3: a dead cluster never takes a store out of CONNECTED.
        Event::ClusterLost => Next::Stay,
        Event::ConnectSucceeded | Event::ConnectFailed(_) | Event::DisconnectFinished | Event::Tick => Next::Stay,
    }
}

fn from_disconnecting(event: Event) -> Next {
    match event {
        Event::DisconnectFinished => Next::To(ConnectionState::Disconnected, &[]),
        Event::Describe => Next::Stay,
        Event::Connect
        | Event::Disconnect
        | Event::UpdateName
        | Event::UpdateProperties
        | Event::Delete
        | Event::CreateKey
        | Event::GenerateRandom => Next::Refuse,
        Event::ConnectSucceeded | Event::ConnectFailed(_) | Event::ClusterLost | Event::Tick => Next::Stay,
    }
}

fn from_failed(event: Event) -> Next {
    match event {
        Event::Disconnect => Next::To(
            ConnectionState::Disconnecting,
            &[Effect::DropGeneration, Effect::AwaitGateways, Effect::LogOut, Effect::ReleaseNetwork],
        ),
        Event::Describe => Next::Stay,
        Event::Connect
        | Event::UpdateName
        | Event::UpdateProperties
        | Event::Delete
        | Event::CreateKey
        | Event::GenerateRandom => Next::Refuse,
        // INV-32: nothing but a disconnect leaves FAILED, and the first code stays.
        Event::ConnectSucceeded
        | Event::ConnectFailed(_)
        | Event::DisconnectFinished
        | Event::ClusterLost
        | Event::Tick => Next::Stay,
    }
}

#[cfg(test)]
mod tests;
