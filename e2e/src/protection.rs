//! One API server with the chart's admission policies in force and an object of every protected kind.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use self::Permitted::{By, Else};
use crate::chart::apply_chart;
use crate::control_plane::ControlPlane;
use crate::kubectl::kubectl;
use crate::wait::{Look, until};

/// Acts as the controllers.
pub const CONTROLLERS: &str = "--as=system:serviceaccount:keystore-system:keystore-operator";
/// Acts as the gateway.
pub const GATEWAY: &str = "--as=system:serviceaccount:keystore-gateway:keystore-gateway";
/// A tenant who may do everything with the objects of the namespace, and has none of our custom verbs.
pub const TENANT: &str = "--as=tenant";

/// What a policy must let pass; one that refused everything would be no less broken than one that refuses nothing.
#[derive(Clone, Copy, Debug)]
pub enum Permitted {
    /// The same command by this identity; of several `--as`, kubectl takes the last.
    By(&'static str),
    /// This command instead, on something that is not protected or in a way that loses nothing.
    Else(&'static str),
}

const OBJECTS: &str = include_str!("protection/objects.yaml");

/// What no policy protects: each stands for nothing, is in nobody's namespace or is unprotected already.
const UNPROTECTED: &str = include_str!("protection/unprotected.yaml");

/// Attempts on each policy: its name without `.keystores.dev`, a command that it refuses, and what it lets pass.
pub const ATTEMPTS: [(&str, &str, Permitted); 22] = [
    ("delete-kmskeys", "delete kmskey/with-material -n team-a", Else("delete kmskey/without-material -n team-a")),
    ("delete-customkeystores", "delete customkeystore/store -n team-a", Else("delete customkeystore/new -n team-a")),
    (
        "delete-cloudhsmclusters",
        "delete cloudhsmcluster/cluster -n team-a",
        Else("delete cloudhsmcluster/new -n team-a"),
    ),
    ("delete-keystoreaccounts", "delete keystoreaccount/111122223333", Else("delete keystoreaccount/444455556666")),
    ("delete-keystoreclaims", "delete keystoreclaim/name-team-a-store -n keystore-system", By(CONTROLLERS)),
    ("delete-definitions", "delete crd/kmskeys.keystores.dev", Else("delete crd/things.example.org")),
    ("delete-namespaces", "delete namespace/keystore-vault", Else("delete namespace/team-b")),
    ("delete-account-namespaces", "delete namespace/team-a", Else("delete namespace/team-b")),
    (
        "delete-configmaps",
        "delete configmap/kmskey.team-a.with-material -n keystore-vault",
        Else("delete configmap/kube-root-ca.crt -n keystore-vault"),
    ),
    ("delete-statefulsets", "delete sts/cluster-abcdefgh234567ab -n keystore-hsm", Else("delete sts/theirs -n team-a")),
    (
        "delete-persistentvolumeclaims",
        "delete pvc/data-cluster-abcdefgh234567ab-0 -n keystore-hsm",
        Else("delete pvc/data -n team-a"),
    ),
    ("delete-secrets", "delete secret/gateway-serving -n keystore-gateway", By(CONTROLLERS)),
    (
        "change-secrets",
        r#"patch secret/cluster-abcdefgh234567ab-sealing -n keystore-hsm --type=merge --patch {"data":null}"#,
        Else("label secret/cluster-abcdefgh234567ab-sealing -n keystore-hsm mine=yes"),
    ),
    (
        "change-secrets",
        r#"patch secret/cluster-abcdefgh234567ab-kmsuser -n keystore-vault --type=merge --patch {"immutable":true}"#,
        Else(r#"patch secret/gateway-serving -n keystore-gateway --type=merge --patch {"immutable":false}"#),
    ),
    (
        "change-configmaps",
        r#"patch configmap/kmskey.team-a.with-material -n keystore-vault --type=merge --patch {"data":null}"#,
        Else("label configmap/kmskey.team-a.with-material -n keystore-vault mine=yes"),
    ),
    (
        "change-configmaps",
        r#"patch configmap/kmskey.team-a.with-material -n keystore-vault --type=merge --patch {"immutable":true}"#,
        Else(r#"patch configmap/kmskey.team-a.with-material -n keystore-vault --type=merge -p {"immutable":false}"#),
    ),
    (
        "change-definitions",
        r#"patch crd/kmskeys.keystores.dev --type=json -p [{"op":"remove","path":"/spec/versions/0/subresources"}]"#,
        Else("label crd/kmskeys.keystores.dev mine=yes"),
    ),
    (
        "retain-persistentvolumes",
        r#"patch pv/volume-of-an-hsm --type=merge --patch {"spec":{"persistentVolumeReclaimPolicy":"Delete"}}"#,
        Else("delete pv/volume-of-somebody-else"),
    ),
    (
        "adopt-kmskeys",
        "patch kmskey/without-material -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"keyId\":\"22222222-2222-4222-8222-222222222222\"}}",
        By(CONTROLLERS),
    ),
    (
        "adopt-customkeystores",
        "patch customkeystore/new -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"customKeyStoreId\":\"cks-22222222222222222\"}}",
        By(CONTROLLERS),
    ),
    (
        "adopt-cloudhsmclusters",
        "patch cloudhsmcluster/new -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"clusterId\":\"cluster-2222222222222222\"}}",
        By(CONTROLLERS),
    ),
    (
        "adopt-kmsaccesskeys",
        "patch kmsaccesskey/new -n team-a --as=tenant --type=merge \
         --patch {\"spec\":{\"accessKeyId\":\"AKIA2222222222222222\"}}",
        By(CONTROLLERS),
    ),
];

/// How the API server puts it that this policy refuses.
#[must_use]
pub fn refusal_by(policy: &str) -> String {
    format!("ValidatingAdmissionPolicy '{policy}.keystores.dev' with binding '{policy}.keystores.dev' denied request")
}

/// The API server, until it is dropped.
#[derive(Debug)]
pub struct Protected {
    admin: PathBuf,
    _plane: ControlPlane,
}

impl Protected {
    /// Starts it and waits until the policies refuse.
    ///
    /// # Errors
    /// When the chart or an object is not accepted.
    pub async fn start() -> Result<Self> {
        let plane = ControlPlane::start().await?;
        let bench = Self { admin: plane.admin_kubeconfig(), _plane: plane };
        apply_chart(&bench.admin).await?;
        let objects = format!("{OBJECTS}---\n{UNPROTECTED}");
        // Right after its start the API server keeps a request waiting until it gives it up, on a busy machine.
        until("the objects to be taken", Duration::from_secs(180), || async {
            let applied = bench.run(&["apply", "--server-side", "-f", "-"], Some(&objects));
            Ok(applied.map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
        })
        .await?;
        bench.policies_are_in_force().await?;
        Ok(bench)
    }

    /// Runs kubectl as an administrator.
    ///
    /// # Errors
    /// With its words.
    pub fn run(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        kubectl(&self.admin, arguments, input)
    }

    /// Runs kubectl until it may: the API server learns of a new right by a watch. A refusal of authorisation is not one of a policy.
    ///
    /// # Errors
    /// When it still may not after a minute.
    pub async fn allowed(&self, arguments: &[&str], input: Option<&str>) -> Result<()> {
        until("a new right to count", Duration::from_secs(60), || async {
            Ok(self.run(arguments, input).map_or_else(|error| Look::NotYet(error.to_string()), |_| Look::Done(())))
        })
        .await
    }

    /// Tries one of [`ATTEMPTS`] without doing it, as `who` where that is said.
    ///
    /// # Errors
    /// With kubectl's words.
    pub fn attempt(&self, command: &str, who: Option<&str>) -> Result<String> {
        let arguments: Vec<_> = command.split(' ').chain(who).chain(["--dry-run=server"]).collect();
        self.run(&arguments, None)
    }

    /// The API server learns of new policies by a watch, of each one by itself; until then it refuses nothing.
    async fn policies_are_in_force(&self) -> Result<()> {
        for (policy, refused, _) in ATTEMPTS {
            until("the policies to be in force", Duration::from_secs(180), || async {
                Ok(match self.attempt(refused, None) {
                    Err(error) if error.to_string().contains(&refusal_by(policy)) => Look::Done(()),
                    Err(error) => Look::NotYet(error.to_string()),
                    Ok(answer) => Look::NotYet(format!("{refused}: {answer}")),
                })
            })
            .await?;
        }
        Ok(())
    }

    /// Asserts that a policy refuses; returns the API server's words.
    ///
    /// # Panics
    /// When it is accepted, or refused for another reason than a policy.
    pub fn refused(&self, what: &str, arguments: &[&str], input: Option<&str>) -> String {
        match self.run(arguments, input) {
            Ok(answer) => panic!("{what} was accepted: {answer}"),
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("denied request"), "{what}: refused for another reason: {said}");
                said
            }
        }
    }
}
