//! What the chart's roles grant, as one line per account, place and resource: `charts/rbac.txt` holds it for people and for the tests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Where a grant holds when it holds everywhere.
pub const EVERYWHERE: &str = "(cluster)";

/// Verbs under which other rights do not matter: all of them, rights that the account lacks, roles of others, and being others.
const UNBOUNDED: [&str; 4] = ["*", "escalate", "bind", "impersonate"];

/// One resource that an account may reach.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grant {
    /// `namespace/serviceaccount`.
    pub subject: String,
    /// The namespace, or [`EVERYWHERE`].
    pub place: String,
    /// `resource.group`, with the name in brackets if it is limited to one; or the path of what is no resource.
    pub resource: String,
    /// The verbs.
    pub verbs: BTreeSet<String>,
}

impl Grant {
    /// Whether it has a wildcard, lets the account give itself more than it has, or reaches Secrets in every namespace (D10).
    #[must_use]
    pub fn is_too_wide(&self) -> bool {
        let secrets_everywhere = self.place == EVERYWHERE && self.resource.split(['[', '/']).next() == Some("secrets");
        let verbs = UNBOUNDED.iter().any(|verb| self.verbs.contains(*verb));
        self.resource.contains('*') || verbs || secrets_everywhere
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verbs = self.verbs.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        write!(f, "{:<36} {:<18} {:<44} {verbs}", self.subject, self.place, self.resource)
    }
}

/// Every grant of the rendered chart, sorted; several rules for one resource are one grant.
///
/// # Errors
/// When an object cannot be read or a binding names a role that is not there.
pub fn grants(rendered: &str) -> Result<Vec<Grant>> {
    let mut roles: BTreeMap<(String, String), Vec<PolicyRule>> = BTreeMap::new();
    for role in of_kind::<Role>(rendered, "Role")? {
        let place = role.metadata.namespace.clone().unwrap_or_default();
        roles.insert((place, role.metadata.name.unwrap_or_default()), role.rules.unwrap_or_default());
    }
    for role in of_kind::<ClusterRole>(rendered, "ClusterRole")? {
        roles.insert((EVERYWHERE.to_owned(), role.metadata.name.unwrap_or_default()), role.rules.unwrap_or_default());
    }
    let mut found = BTreeMap::new();
    let mut bind = |place: &str, role: &RoleRef, subjects: &[Subject]| -> Result<()> {
        let home = if role.kind == "ClusterRole" { EVERYWHERE } else { place };
        let rules = roles.get(&(home.to_owned(), role.name.clone()));
        let rules =
            rules.with_context(|| format!("a binding in {place} names the missing {} {}", role.kind, role.name))?;
        for subject in subjects {
            let account = format!("{}/{}", subject.namespace.as_deref().unwrap_or_default(), subject.name);
            rules.iter().for_each(|rule| add(&mut found, &account, place, rule));
        }
        Ok(())
    };
    for binding in of_kind::<RoleBinding>(rendered, "RoleBinding")? {
        bind(
            &binding.metadata.namespace.unwrap_or_default(),
            &binding.role_ref,
            &binding.subjects.unwrap_or_default(),
        )?;
    }
    for binding in of_kind::<ClusterRoleBinding>(rendered, "ClusterRoleBinding")? {
        bind(EVERYWHERE, &binding.role_ref, &binding.subjects.unwrap_or_default())?;
    }
    let grant = |((subject, place, resource), verbs)| Grant { subject, place, resource, verbs };
    Ok(found.into_iter().map(grant).collect())
}

/// The golden file's text.
#[must_use]
pub fn table(grants: &[Grant]) -> String {
    let head = "# What the chart's roles grant: account, namespace, resource, verbs. Written by `make generate`; a test compares.\n";
    grants.iter().fold(head.to_owned(), |text, grant| format!("{text}{grant}\n"))
}

type Found = BTreeMap<(String, String, String), BTreeSet<String>>;

fn add(found: &mut Found, account: &str, place: &str, rule: &PolicyRule) {
    let groups = rule.api_groups.iter().flatten();
    for (group, resource) in
        groups.flat_map(|group| rule.resources.iter().flatten().map(move |resource| (group, resource)))
    {
        let resource = if group.is_empty() { resource.clone() } else { format!("{resource}.{group}") };
        let names = rule.resource_names.iter().flatten().cloned().collect::<Vec<_>>().join(",");
        let resource = if names.is_empty() { resource } else { format!("{resource}[{names}]") };
        let verbs = found.entry((account.to_owned(), place.to_owned(), resource)).or_default();
        verbs.extend(rule.verbs.iter().cloned());
    }
    for url in rule.non_resource_urls.iter().flatten() {
        let verbs = found.entry((account.to_owned(), place.to_owned(), url.clone())).or_default();
        verbs.extend(rule.verbs.iter().cloned());
    }
}

fn of_kind<K: DeserializeOwned>(rendered: &str, wanted: &str) -> Result<Vec<K>> {
    #[derive(Deserialize)]
    struct Kind {
        kind: Option<String>,
    }
    let is_wanted = |text: &&str| {
        let kind = serde_saphyr::from_str::<Kind>(text).ok().and_then(|object| object.kind);
        kind.as_deref() == Some(wanted)
    };
    let documents = rendered.split("\n---").filter(is_wanted);
    documents.map(|text| serde_saphyr::from_str(text).with_context(|| format!("failed to read a {wanted}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(place: &str, resource: &str, verbs: &[&str]) -> Grant {
        Grant {
            subject: "keystore-system/keystore-operator".into(),
            place: place.into(),
            resource: resource.into(),
            verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        }
    }

    /// D10.
    #[test]
    fn wildcards_secrets_everywhere_and_verbs_that_reach_beyond_the_account_are_too_wide() {
        let table: [(&str, &str, &[&str], bool); 13] = [
            ("keystore-hsm", "pods", &["get", "list"], false),
            ("keystore-vault", "secrets", &["get", "create"], false),
            ("keystore-system", "serviceaccounts/token", &["create"], false),
            (EVERYWHERE, "kmskeys.keystores.dev", &["get", "patch"], false),
            ("keystore-hsm", "*", &["get"], true),
            ("keystore-hsm", "pods/*", &["get"], true),
            ("keystore-hsm", "pods", &["get", "*"], true),
            (EVERYWHERE, "secrets", &["get"], true),
            (EVERYWHERE, "secrets[one]", &["get"], true),
            ("keystore-hsm", "roles.rbac.authorization.k8s.io", &["escalate"], true),
            (EVERYWHERE, "clusterroles.rbac.authorization.k8s.io[admin]", &["get", "bind"], true),
            (EVERYWHERE, "users", &["impersonate"], true),
            ("keystore-vault", "serviceaccounts[keystore-operator]", &["impersonate"], true),
        ];
        for (place, resource, verbs, expected) in table {
            assert_eq!(grant(place, resource, verbs).is_too_wide(), expected, "{place} {resource} {verbs:?}");
        }
    }
}
