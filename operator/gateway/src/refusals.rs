//! Whom the gateway may turn away before a request means anything; counted in `kms_gateway_refusals_total{refused}`, logged within limits.
//! What a request is refused for after that is in its audit record.

use refusal_log::Kind;

/// Counter and limit of each kind.
pub(crate) type Refusals = refusal_log::Refusals<Refused>;

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A connection: too many are open.
    Connection,
    /// A TLS handshake.
    Handshake,
    /// A request's signature, or what it signs (INV-66).
    Signature,
}

impl Kind for Refused {
    const ALL: &'static [Self] = &[Self::Connection, Self::Handshake, Self::Signature];

    fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Handshake => "handshake",
            Self::Signature => "signature",
        }
    }
}
