//! What `kubectl keystore status` says of a healthy and of a broken installation: state, code, what is wrong, what to do.

use anyhow::{Context, Result, ensure};
use e2e::installation::Installation;
use e2e::quickstart::{self, ALIAS, NAME};
use e2e::recovery::{keystore_ok, status};
use e2e::scenario::{PATIENCE, password_secret};
use e2e::wait::{Look, until};
use serde_json::Value;

/// One tree; exit code 1 exactly while something is not as its owner wants it, in the controllers' words.
#[tokio::test]
async fn status_shows_one_tree_and_says_what_is_wrong_and_what_to_do() -> Result<()> {
    let installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    let healthy = well(&installation).await?;
    assert_eq!(healthy[0]["kind"], "CloudHsmCluster");
    let children = healthy[0]["children"].as_array().context("no children")?;
    let kinds: Vec<_> = children.iter().map(|child| child["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["Hsm", "Hsm", "Hsm", "CustomKeyStore"]);
    assert_eq!(children[3]["children"][0]["children"][0]["id"], ALIAS);
    let text = keystore_ok(&installation, &["status", "-n", NAME])?;
    ensure!(text.contains("└─ KmsAlias quickstart") && !text.contains('\u{1b}'), "{text}");

    let pod = installation.pods.names().first().cloned().context("no pods")?;
    installation.pods.hold_down(&pod);
    let wrong = says(&installation, "Hsm", "DEGRADED").await?;
    ensure!(wrong["messages"][0].as_str().is_some_and(|text| !text.is_empty()), "{wrong}");
    installation.pods.release(&pod);
    well(&installation).await?;

    tenant.disconnect(NAME).await?;
    well(&installation).await?;
    installation.apply(&password_secret(NAME, "supplied", "wrong0password"))?;
    tenant.supply_password(NAME, "supplied").await?;
    tenant.want_connection(NAME, "CONNECTED").await?;
    let failed = says(&installation, "CustomKeyStore", "FAILED").await?;
    assert_eq!(failed["errorCode"], "INVALID_CREDENTIALS");
    ensure!(failed["messages"][0].as_str().is_some_and(|text| text.contains("Cure:")), "{failed}");
    let key = says(&installation, "KmsKey", "Unavailable").await?;
    ensure!(key["messages"][0].as_str().is_some_and(|text| text.contains("connect it")), "{key}");
    Ok(())
}

/// Waits until nothing is wrong.
async fn well(installation: &Installation) -> Result<Value> {
    until("status to find nothing wrong", PATIENCE, || async {
        let (tree, code) = status(installation)?;
        Ok(if code == Some(0) { Look::Done(tree) } else { Look::NotYet(tree.to_string()) })
    })
    .await
}

/// Waits until a line of this kind is wrong and shows this state; the exit code is 1 then.
async fn says(installation: &Installation, kind: &str, state: &str) -> Result<Value> {
    until(&format!("a {kind} to be shown as {state}"), PATIENCE, || async {
        let (tree, code) = status(installation)?;
        let found = find(&tree, kind, state).cloned();
        Ok(match found {
            Some(line) if line["wrong"] == true && code == Some(1) => Look::Done(line),
            _ => Look::NotYet(tree.to_string()),
        })
    })
    .await
}

fn find<'a>(tree: &'a Value, kind: &str, state: &str) -> Option<&'a Value> {
    let here = |node: &&Value| node["kind"] == kind && node["state"] == state;
    let nodes = tree.as_array()?;
    nodes.iter().find(here).or_else(|| nodes.iter().find_map(|node| find(&node["children"], kind, state)))
}
