//! Who may call which operation: the question that goes to Kubernetes as a SubjectAccessReview (D11).
//!
//! With no key policy the account root has full access, so RBAC of the namespace decides. The user in the review is made
//! from the namespace and the access key's name, never taken from something that a caller or tenant can write.

use std::fmt;
use strum::{EnumIter, EnumString, IntoStaticStr};

/// API group of the reviewed resources.
pub const GROUP: &str = "keystores.dev";

/// The operations that are authorised. The name is the operation's AWS name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, EnumString, IntoStaticStr)]
#[allow(missing_docs)]
pub enum Action {
    CreateKey,
    DescribeKey,
    ListKeys,
    ListAliases,
    Encrypt,
    Decrypt,
    GenerateDataKey,
    GenerateDataKeyWithoutPlaintext,
    GenerateRandom,
    DescribeCustomKeyStores,
    ConnectCustomKeyStore,
    DisconnectCustomKeyStore,
}

impl Action {
    /// The RBAC verb: the AWS name with a small first letter, for example `generateDataKey`.
    pub fn verb(self) -> String {
        let name: &'static str = self.into();
        let (first, rest) = name.split_at(1);
        format!("{}{rest}", first.to_ascii_lowercase())
    }

    /// The resource that the verb applies to. Operations on no one key in particular are reviewed on `kmskeys` without a
    /// name.
    pub fn resource(self) -> &'static str {
        match self {
            Self::CreateKey
            | Self::DescribeKey
            | Self::ListKeys
            | Self::ListAliases
            | Self::Encrypt
            | Self::Decrypt
            | Self::GenerateDataKey
            | Self::GenerateDataKeyWithoutPlaintext
            | Self::GenerateRandom => "kmskeys",
            Self::DescribeCustomKeyStores | Self::ConnectCustomKeyStore | Self::DisconnectCustomKeyStore => {
                "customkeystores"
            }
        }
    }
}

/// An authenticated caller: an access key of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// Namespace of the `KmsAccessKey`: the account.
    pub namespace: String,
    /// Name of the `KmsAccessKey`.
    pub access_key: String,
}

impl Principal {
    /// Groups of every principal. None of Kubernetes' own: a role bound to `system:authenticated` is not meant for us.
    pub const GROUPS: [&'static str; 1] = ["keystores.dev:access-keys"];

    /// The user name in the review, and in RoleBindings: `keystores.dev:<namespace>:<access key name>`.
    ///
    /// Kubernetes names have no colon, so no two principals share a user name.
    pub fn user(&self) -> String {
        format!("keystores.dev:{}:{}", self.namespace, self.access_key)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.user())
    }
}

/// One question to Kubernetes, always about the principal's own namespace (INV-67).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessQuestion {
    /// Who asks.
    pub principal: Principal,
    /// What for.
    pub action: Action,
    /// Name of the object, where the operation is on one.
    pub name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use strum::IntoEnumIterator;

    #[test]
    fn verbs_are_the_aws_names_with_a_small_first_letter() {
        let verbs: Vec<String> =
            Action::iter().map(|action| format!("{} {}", action.resource(), action.verb())).collect();
        let documented = [
            "kmskeys createKey",
            "kmskeys describeKey",
            "kmskeys listKeys",
            "kmskeys listAliases",
            "kmskeys encrypt",
            "kmskeys decrypt",
            "kmskeys generateDataKey",
            "kmskeys generateDataKeyWithoutPlaintext",
            "kmskeys generateRandom",
            "customkeystores describeCustomKeyStores",
            "customkeystores connectCustomKeyStore",
            "customkeystores disconnectCustomKeyStore",
        ];
        assert_eq!(verbs, documented);
    }

    #[test]
    fn the_user_is_made_from_namespace_and_access_key_d11() {
        let principal = Principal { namespace: "quickstart".to_owned(), access_key: "app".to_owned() };
        assert_eq!(principal.user(), "keystores.dev:quickstart:app");
    }
}
