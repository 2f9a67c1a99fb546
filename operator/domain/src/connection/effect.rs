//! The work that a change of connection state asks for. The controllers do it; until it is done the state says so.

use strum::EnumIter;

/// One piece of work. Each is idempotent, because a crash may repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter)]
pub enum Effect {
    /// Give the connection a new generation and work through the steps of `ConnectStep`.
    RunConnectSteps,
    /// Stop working on the steps. Intents already written stay: they keep the password known (CKS-13).
    AbandonConnectSteps,
    /// Drop the connection's generation in every reachable HSM, so that no delegate can use a key (D12).
    DropGeneration,
    /// Wait for every gateway replica that may still talk to an unreachable HSM (INV-36).
    AwaitGateways,
    /// End the controller's `kmsuser` sessions: a failed connect must not cause USER_LOGGED_IN at the next one.
    LogOut,
    /// Remove the store's network interfaces and security group (CKS-60).
    ReleaseNetwork,
    /// Keep code and time in `status.lastConnectionError` (CKS-51).
    RecordLastError,
}
