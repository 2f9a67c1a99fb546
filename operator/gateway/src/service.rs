//! The AWS services that the endpoint speaks: how a request names its operation and how errors look differs by service.

/// A service, as the signed credential scope names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// AWS KMS: JSON 1.1, operation in `X-Amz-Target` (KEY-1).
    Kms,
    /// AWS STS: the query protocol, form in and XML out, operation in the form (design, "Access").
    Sts,
}

impl Service {
    /// How many services there are.
    pub const COUNT: usize = 2;

    /// The service with this name in a credential scope.
    #[must_use]
    pub fn from_scope(name: &str) -> Option<Self> {
        match name {
            "kms" => Some(Self::Kms),
            "sts" => Some(Self::Sts),
            _ => None,
        }
    }

    /// The name in a credential scope.
    #[must_use]
    pub fn scope_name(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::Sts => "sts",
        }
    }

    /// The service in audit records.
    #[must_use]
    pub fn event_source(self) -> &'static str {
        match self {
            Self::Kms => "kms.amazonaws.com",
            Self::Sts => "sts.amazonaws.com",
        }
    }

    /// Position in tables by service.
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Kms => 0,
            Self::Sts => 1,
        }
    }
}
