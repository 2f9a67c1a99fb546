//! What this HSM may refuse; counted in `hsm_refusals_total{refused}` and logged within limits.

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
    /// A command: the role, the login or the fence behind it does not allow it.
    Command,
}

impl Kind for Refused {
    const ALL: &'static [Self] = &[Self::Connection, Self::Handshake, Self::Delegation, Self::Signature, Self::Command];

    fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Handshake => "handshake",
            Self::Delegation => "delegation",
            Self::Signature => "signature",
            Self::Command => "command",
        }
    }
}
