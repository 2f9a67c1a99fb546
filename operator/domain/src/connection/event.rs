//! What can happen to a connection: calls of the owner, results of our own work, news about the cluster, time.

use super::ConnectionErrorCode;

/// Something that happened. Calls carry no facts that need a lookup: those are checked before (see `precondition`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `ConnectCustomKeyStore`, its fast checks passed.
    Connect,
    /// `DisconnectCustomKeyStore`.
    Disconnect,
    /// `UpdateCustomKeyStore` with a new name only.
    UpdateName,
    /// `UpdateCustomKeyStore` with a password or a cluster.
    UpdateProperties,
    /// `DeleteCustomKeyStore`; whether the store has keys is asked after the state (CKS-71).
    Delete,
    /// `DescribeCustomKeyStores`.
    Describe,
    /// `CreateKey` in the store.
    CreateKey,
    /// `GenerateRandom` from the store's cluster.
    GenerateRandom,
    /// All steps of the connect are done.
    ConnectSucceeded,
    /// A step of the connect failed for good.
    ConnectFailed(ConnectionErrorCode),
    /// All work of the disconnect is done.
    DisconnectFinished,
    /// The HSMs cannot be reached, or the cluster is gone.
    ClusterLost,
    /// Time passed.
    Tick,
}
