//! The admission policies of the chart on a real API server (D2, D5, D17, INV-12, T-25): what a slip of the finger must not
//! be able to delete, what only a deliberate act can, and who may say which material an object stands for.

use anyhow::Result;
use e2e::installation::{HSM_NAMESPACE, VAULT_NAMESPACE};
use e2e::protection::{CONTROLLERS, GATEWAY, Protected, TENANT};

fn protected() -> Vec<Vec<&'static str>> {
    vec![
        vec!["kmskey/with-material", "-n", "team-a"],
        vec!["customkeystore/store", "-n", "team-a"],
        vec!["cloudhsmcluster/cluster", "-n", "team-a"],
        vec!["keystoreaccount/111122223333"],
        vec!["crd/kmskeys.keystores.dev"],
        vec!["crd/keystoreclaims.keystores.dev"],
        vec!["namespace/team-a"],
        vec!["namespace/keystore-system"],
        vec!["namespace/keystore-gateway"],
        vec!["namespace/keystore-hsm"],
        vec!["namespace/keystore-vault"],
        vec!["secret/cluster-abcdefgh234567ab-kmsuser", "-n", VAULT_NAMESPACE],
        vec!["configmap/kmskey.team-a.with-material", "-n", VAULT_NAMESPACE],
        vec!["pvc/data-cluster-abcdefgh234567ab-0", "-n", HSM_NAMESPACE],
        vec!["statefulset/cluster-abcdefgh234567ab", "-n", HSM_NAMESPACE],
        vec!["pv/volume-of-an-hsm"],
    ]
}

/// D5, T-25: not even `system:masters` deletes one by mistake; the annotation is the deliberate act.
#[tokio::test]
async fn what_holds_keys_is_deleted_only_after_it_was_unprotected() -> Result<()> {
    let bench = Protected::start().await?;
    for object in protected() {
        let delete = |more: &[&'static str]| [&["delete"], object.as_slice(), more].concat();
        let annotate = |value: &'static str| [&["annotate", "--overwrite"], object.as_slice(), &[value]].concat();
        bench.refused(object[0], &delete(&[]), None);
        bench.run(&annotate("keystores.dev/unprotect=false"), None)?;
        bench.refused(object[0], &delete(&[]), None);
        bench.run(&annotate("keystores.dev/unprotect=true"), None)?;
        bench.run(&delete(&["--dry-run=server"]), None)?;
    }
    bench.refused("everything at once", &["delete", "customkeystores", "--all", "-n", "team-a", TENANT], None);
    Ok(())
}

/// D5: the annotation alone is not enough for somebody without the custom verb, and what stands for nothing is not protected.
#[tokio::test]
async fn unprotecting_needs_a_verb_of_its_own_and_empty_objects_go_freely() -> Result<()> {
    let bench = Protected::start().await?;
    let delete = ["delete", "kmskey/with-material", "-n", "team-a", TENANT];
    bench.run(&["annotate", "kmskey/with-material", "-n", "team-a", "keystores.dev/unprotect=true", TENANT], None)?;
    bench.refused("a deletion without the verb unprotect", &delete, None);
    let grant = ["create", "clusterrole", "breaker", "--verb=unprotect", "--resource=kmskeys.keystores.dev"];
    bench.run(&[&grant[..], &["--resource-name=with-material"]].concat(), None)?;
    bench.run(&["create", "clusterrolebinding", "breaker", "--clusterrole=breaker", "--user=tenant"], None)?;
    e2e::wait::until("the new right to count", std::time::Duration::from_secs(10), || async {
        Ok(match bench.run(&delete, None) {
            Ok(_) => e2e::wait::Look::Done(()),
            Err(error) => e2e::wait::Look::NotYet(error.to_string()),
        })
    })
    .await?;
    bench.run(&["delete", "kmskey/without-material", "-n", "team-a", TENANT], None)?;
    Ok(())
}

/// D2, D10: a tenant cannot point an object at material, or an access key at a secret, that is somebody else's.
#[tokio::test]
async fn identity_is_set_by_the_controllers_or_by_an_adopter_only() -> Result<()> {
    let bench = Protected::start().await?;
    let intent = r#"{"spec":{"keyId":"22222222-2222-4222-8222-222222222222","materialIntent":{"uid":"u","opId":"o"}}}"#;
    let order =
        ["patch", "kmskey/without-material", "-n", "team-a", "--type=merge", "--dry-run=server", "--patch", intent];
    bench.refused("a tenant's intent", &[&order[..], &[TENANT]].concat(), None);
    bench.run(&[&order[..], &[CONTROLLERS]].concat(), None)?;

    let key = "apiVersion: keystores.dev/v1alpha1\nkind: KmsAccessKey\nmetadata: {name: app, namespace: team-a}\n\
               spec: {accessKeyId: AKIAABCDEFGHIJKLMNOP}\n";
    let create = ["create", "--dry-run=server", "-f", "-", TENANT];
    bench.refused("a foreign access key id", &create, Some(key));
    bench.run(&create, Some(&key.replace("accessKeyId: AKIAABCDEFGHIJKLMNOP", "description: mine")))?;
    Ok(())
}

/// D17: the AWS API's emergency stop can neither be set nor lifted by editing the object.
#[tokio::test]
async fn a_hold_is_put_and_taken_by_the_gateway_only() -> Result<()> {
    let bench = Protected::start().await?;
    let put = r#"{"spec":{"hold":{"requestedBy":"arn:aws:iam::111122223333:user/app","requestedAt":"2026-01-01T00:00:00Z"}}}"#;
    let patch = |body: &'static str, who: &'static str| {
        ["patch", "customkeystore/store", "-n", "team-a", "--type=merge", "--patch", body, who]
    };
    bench.refused("a tenant's hold", &patch(put, TENANT), None);
    bench.run(&patch(put, GATEWAY), None)?;
    bench.refused("a tenant who lifts it", &patch(r#"{"spec":{"hold":null}}"#, TENANT), None);
    bench.run(&patch(r#"{"spec":{"connectionAttempt":"2"}}"#, TENANT), None)?;
    bench.run(&patch(r#"{"spec":{"hold":null}}"#, GATEWAY), None)?;
    Ok(())
}
