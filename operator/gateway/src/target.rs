//! Which operation a request asks for: the closed list of operations, and how `X-Amz-Target` names them (KEY-1).

/// Prefix of every KMS target.
const TARGET_PREFIX: &str = "TrentService.";

/// Declares the operations that are offered.
macro_rules! operations {
    ($($variant:ident $verb:literal $read_only:literal;)+) => {
        /// An operation that the endpoint offers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Operation { $($variant,)+ }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// AWS's name: the target's suffix, `eventName` in audit records, a metric label.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// The custom verb that Kubernetes RBAC decides on: the IAM action's name with a small first letter (D11).
            #[must_use]
            pub fn verb(self) -> &'static str {
                match self { $(Self::$variant => $verb,)+ }
            }

            /// Whether audit records call it `readOnly`: reads and cryptographic operations (spec §5.2).
            #[must_use]
            pub fn read_only(self) -> bool {
                match self { $(Self::$variant => $read_only,)+ }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name { $(stringify!($variant) => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

operations! {
    ConnectCustomKeyStore "connectCustomKeyStore" false;
    CreateKey "createKey" false;
    Decrypt "decrypt" true;
    DescribeCustomKeyStores "describeCustomKeyStores" true;
    DescribeKey "describeKey" true;
    DisconnectCustomKeyStore "disconnectCustomKeyStore" false;
    Encrypt "encrypt" true;
    GenerateDataKey "generateDataKey" true;
    GenerateDataKeyWithoutPlaintext "generateDataKeyWithoutPlaintext" true;
    GenerateRandom "generateRandom" true;
    GetCallerIdentity "getCallerIdentity" true;
    ListAliases "listAliases" true;
    ListKeys "listKeys" true;
}

impl Operation {
    /// Whether the answer carries key-protected data. Such an answer does not leave unless its record was written.
    #[must_use]
    pub fn is_cryptographic(self) -> bool {
        match self {
            Self::Decrypt
            | Self::Encrypt
            | Self::GenerateDataKey
            | Self::GenerateDataKeyWithoutPlaintext
            | Self::GenerateRandom => true,
            Self::ConnectCustomKeyStore
            | Self::CreateKey
            | Self::DescribeCustomKeyStores
            | Self::DescribeKey
            | Self::DisconnectCustomKeyStore
            | Self::GetCallerIdentity
            | Self::ListAliases
            | Self::ListKeys => false,
        }
    }
}

/// Operations of the KMS API that exist and that this endpoint does not offer yet (spec 2 and 3.4).
const NOT_YET_OFFERED: &[&str] = &[
    "CancelKeyDeletion",
    "CreateAlias",
    "CreateCustomKeyStore",
    "CreateGrant",
    "Decapsulate",
    "DeleteAlias",
    "DeleteCustomKeyStore",
    "DeleteImportedKeyMaterial",
    "DeriveSharedSecret",
    "DisableKey",
    "DisableKeyRotation",
    "EnableKey",
    "EnableKeyRotation",
    "Encapsulate",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateMac",
    "GetKeyLastUsage",
    "GetKeyPolicy",
    "GetKeyRotationStatus",
    "GetParametersForImport",
    "GetPublicKey",
    "ImportKeyMaterial",
    "ListGrants",
    "ListKeyPolicies",
    "ListKeyRotations",
    "ListResourceTags",
    "ListRetirableGrants",
    "PutKeyPolicy",
    "ReEncrypt",
    "ReplicateKey",
    "RetireGrant",
    "RevokeGrant",
    "RotateKeyOnDemand",
    "ScheduleKeyDeletion",
    "Sign",
    "TagResource",
    "UntagResource",
    "UpdateAlias",
    "UpdateCustomKeyStore",
    "UpdateKeyDescription",
    "UpdatePrimaryRegion",
    "Verify",
    "VerifyMac",
];

/// What a KMS target names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// An operation that is offered.
    Offered(Operation),
    /// An operation of the real API that is not offered yet.
    NotYet(&'static str),
    /// Nothing.
    Unknown,
}

impl Target {
    /// Reads the value of `X-Amz-Target`.
    #[must_use]
    pub(crate) fn parse(header: &str) -> Self {
        let Some(name) = header.strip_prefix(TARGET_PREFIX) else {
            return Self::Unknown;
        };
        match Operation::from_name(name) {
            // STS has its own protocol; its operation cannot be reached through the KMS target.
            Some(Operation::GetCallerIdentity) => Self::Unknown,
            Some(operation) => Self::Offered(operation),
            None => {
                NOT_YET_OFFERED.iter().find(|known| **known == name).map_or(Self::Unknown, |known| Self::NotYet(known))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_kms_api_is_either_offered_or_named_as_not_yet_offered() {
        // 56 operations: 50 of spec 3.4 and six store operations; GetCallerIdentity is STS's.
        assert_eq!(Operation::ALL.len() - 1 + NOT_YET_OFFERED.len(), 56);
        for operation in Operation::ALL.iter().filter(|operation| **operation != Operation::GetCallerIdentity) {
            assert_eq!(Target::parse(&format!("TrentService.{}", operation.name())), Target::Offered(*operation));
            assert!(!NOT_YET_OFFERED.contains(&operation.name()));
        }
        for name in NOT_YET_OFFERED {
            assert_eq!(Target::parse(&format!("TrentService.{name}")), Target::NotYet(name));
        }
    }

    #[test]
    fn anything_else_is_an_unknown_operation() {
        for header in [
            "",
            "Encrypt",
            "TrentService.",
            "TrentService.encrypt",
            "trentservice.Encrypt",
            "X.Encrypt",
            "TrentService.GetCallerIdentity",
            "TrentService.Encrypt ",
            "TrentService.DropTables",
        ] {
            assert_eq!(Target::parse(header), Target::Unknown, "{header}");
        }
    }

    #[test]
    fn a_verb_is_the_operations_name_with_a_small_first_letter() {
        for operation in Operation::ALL {
            let (first, rest) = operation.name().split_at(1);
            assert_eq!(operation.verb(), format!("{}{rest}", first.to_lowercase()));
        }
    }
}
