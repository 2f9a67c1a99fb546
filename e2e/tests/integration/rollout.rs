//! Two gateway replicas that are replaced one after the other under load, as a Deployment does at an upgrade: with another log level, by
//! SIGTERM, and only once the successor serves. Then they, and one that began later, get the same signed request again. And processes that cannot
//! even begin: what they say last.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::{digest, hmac};
use e2e::application;
use e2e::binaries::ours;
use e2e::installation::Installation;
use e2e::load::Load;
use e2e::loopback::{forward, forward_to_any};
use e2e::process::Process;
use e2e::quickstart::{self, ACCESS_KEY, NAME};
use e2e::scenario::Tenant;
use e2e::sdk::{Caller, Retries, Sdk};
use e2e::wait::{Look, until};
use kube::api::ListParams;
use serde_json::{Value, json};

/// SIGTERM, and waits until it has drained; the runtime goes on meanwhile.
async fn retire(mut replica: Process) -> Result<()> {
    replica.signal(rustix::process::Signal::TERM);
    let ended = std::cell::RefCell::new(&mut replica);
    let status = until("a replica to drain", Duration::from_secs(120), || async {
        Ok(ended.borrow_mut().ended()?.map_or(Look::NotYet("it runs".to_owned()), Look::Done))
    })
    .await?;
    assert!(status.success(), "it did not drain: {status}");
    Ok(())
}

/// A boto3 that calls the replica on this address and no other, once that answers it.
async fn at(installation: &Installation, caller: &Caller, number: u8) -> Result<Sdk> {
    let port = forward(&format!("{}:8443", installation.pods.address(number)))?;
    application::answered(&Caller { endpoint: format!("https://127.0.0.1:{port}"), ..caller.clone() }).await
}

/// Capability 5, with processes: maxUnavailable 0, maxSurge 1.
#[tokio::test]
async fn replicas_that_are_replaced_one_after_the_other_fail_no_request() -> Result<()> {
    let mut installation = Installation::start().await?;
    let tenant = quickstart::ready(&installation).await?;
    drop(quickstart::application(&mut installation).await?);
    let (one, two) = (
        installation.gateway_replica(6, "gateway-2", &[]).await?,
        installation.gateway_replica(7, "gateway-3", &[]).await?,
    );
    let mut caller = installation.caller(NAME, ACCESS_KEY).await?;
    let addresses = [6, 7, 8, 9].map(|number| format!("{}:8443", installation.pods.address(number)));
    caller.endpoint = format!("https://127.0.0.1:{}", forward_to_any(addresses.into())?);
    drop(application::answered(&caller).await?);
    let load = Load::start(&caller, 1, Retries::USUAL).await?;

    let mut successors = Vec::new();
    for (number, name, old) in [(8, "gateway-4", one), (9, "gateway-5", two)] {
        let new = installation.gateway_replica(number, name, &[("KEYSTORE_LOG", "debug")]).await?;
        drop(at(&installation, &caller, number).await?);
        load.goes_on(10).await?;
        retire(old).await?;
        load.goes_on(10).await?;
        successors.push(new);
    }
    println!("traffic while replicas went: {:?}", load.end_unharmed(60)?);
    a_recorded_create_key_makes_no_second_key(&installation, &tenant, &caller, &successors[1]).await
}

/// T-06, with processes: the one that made the key, the one on address 9, and one that begins when the key is there.
async fn a_recorded_create_key_makes_no_second_key(
    installation: &Installation,
    tenant: &Tenant,
    caller: &Caller,
    other: &Process,
) -> Result<()> {
    let store = tenant.stores().get(NAME).await?.spec.custom_key_store_id.context("no store id")?;
    let (mut first, mut second) = (at(installation, caller, 8).await?, at(installation, caller, 9).await?);
    let request = recorded(caller, &json!({ "Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store }).to_string());
    let made = first.raw(&request)?;
    assert_eq!(made["status"], 200, "{made}");
    let keys = tenant.keys().list(&ListParams::default()).await?.items.len();
    // Dates have whole seconds: a process that began in the same one could not tell.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let restarted = installation.gateway_replica(6, "gateway-6", &[]).await?;
    let mut third = at(installation, caller, 6).await?;
    for (what, sdk) in [("the same", &mut first), ("another", &mut second), ("a restarted one", &mut third)] {
        let answer = sdk.raw(&request)?;
        assert_eq!(answer["status"], 400, "{what}: {answer}");
        assert!(answer["body"].as_str().unwrap_or_default().contains("ThrottlingException"), "{what}: {answer}");
    }
    for (replica, why) in [(other, "there is one of its name"), (&restarted, "it was signed before this process began")]
    {
        let log = std::fs::read_to_string(replica.log())?;
        assert!(log.contains(why), "{why}: {log}");
    }
    assert_eq!(tenant.keys().list(&ListParams::default()).await?.items.len(), keys);
    Ok(())
}

/// A CreateKey that is signed once and can be sent as often as one likes: what somebody on its way would have of it.
fn recorded(caller: &Caller, body: &str) -> Value {
    let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (day, host, target) = (&date[..8], "kms.recorded", "TrentService.CreateKey");
    let (scope, names) =
        (format!("{day}/{}/kms/aws4_request", caller.region), "content-type;host;x-amz-date;x-amz-target");
    let hash = |text: &str| hex::encode(digest::digest(&digest::SHA256, text.as_bytes()));
    let headers =
        format!("content-type:application/x-amz-json-1.1\nhost:{host}\nx-amz-date:{date}\nx-amz-target:{target}\n");
    let canonical = format!("POST\n/\n\n{headers}\n{names}\n{}", hash(body));
    let mac =
        |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec();
    let secret = format!("AWS4{}", caller.secret_access_key).into_bytes();
    let parts = [day, caller.region.as_str(), "kms", "aws4_request"];
    let key = parts.into_iter().fold(secret, |key, part| mac(&key, part));
    let signature = hex::encode(mac(&key, &format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hash(&canonical))));
    let credential = format!("{}/{scope}", caller.access_key_id);
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}");
    let signed = json!({ "Host": host, "X-Amz-Date": date, "Authorization": authorization });
    json!({ "target": target, "body": body, "unsigned": true, "after": signed })
}

/// Exit code and stderr of a program that finds no API server and no file.
fn ended(program: &str, arguments: &[&str], filter: &str) -> Result<(Option<i32>, String)> {
    let mut command = Command::new(ours(program)?);
    command.args(arguments).env("KEYSTORE_LOG", filter);
    command.env("KUBECONFIG", "/nowhere").env_remove("KUBERNETES_SERVICE_HOST");
    let output = command.output().with_context(|| format!("failed to start {program}"))?;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

/// Every line of a log is for a machine to read, also the last one. Arguments are a person's.
#[test]
fn what_ends_a_process_is_a_line_of_its_log_with_all_causes_and_wrong_arguments_are_answered_in_plain_text()
-> Result<()> {
    let no_api_server = "failed to find the API server: ";
    let pod = ["--pod-name=a", "--pod-certificate=/nowhere", "--pod-key=/nowhere", "--operator-ca=/nowhere"];
    let pod = [&pod[..], &["--sealing-share=/nowhere"]].concat();
    let roles: [(&str, &[&str], &str); 3] = [
        ("keystore-operator", &["controllers"], no_api_server),
        ("keystore-operator", &["gateway"], no_api_server),
        ("hsm-sim", &pod, "failed to read /nowhere: "),
    ];
    for (program, arguments, why) in roles {
        let (code, said) = ended(program, arguments, "info")?;
        assert_eq!(code, Some(1), "{said}");
        let lines: Result<Vec<Value>, _> = said.lines().map(serde_json::from_str).collect();
        let last = lines.with_context(|| said.clone())?.pop().context("not a word")?;
        let message = last["message"].as_str().or_else(|| last["fields"]["message"].as_str()).unwrap_or_default();
        assert!(last["level"] == "ERROR" && message.starts_with(why), "{said}");
    }
    let (code, said) = ended("keystore-operator", &["gateway", "--nowhere"], "info")?;
    assert!(code == Some(2) && said.starts_with("error: unexpected argument '--nowhere'"), "{said}");
    // A log that takes nothing does not swallow it.
    let (code, said) = ended("keystore-operator", &["gateway"], "off")?;
    assert!(code == Some(1) && said.starts_with(&format!("Error: {no_api_server}")), "{said}");
    Ok(())
}
