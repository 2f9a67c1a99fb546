//! Two gateway replicas that are replaced one after the other under load, as a Deployment does at an upgrade: with another log level, by
//! SIGTERM, and only once the successor serves.

use std::time::Duration;

use anyhow::Result;
use e2e::application;
use e2e::installation::Installation;
use e2e::load::Load;
use e2e::loopback::forward_to_any;
use e2e::process::Process;
use e2e::quickstart::{self, ACCESS_KEY, NAME};
use e2e::sdk::Retries;
use e2e::wait::{Look, until};

/// SIGTERM, and waits until it has drained; the runtime goes on meanwhile.
async fn retire(mut replica: Process) -> Result<()> {
    replica.signal(rustix::process::Signal::TERM);
    let ended = std::cell::RefCell::new(&mut replica);
    let status = until("a replica to drain", Duration::from_secs(40), || async {
        Ok(ended.borrow_mut().ended()?.map_or(Look::NotYet("it runs".to_owned()), Look::Done))
    })
    .await?;
    assert!(status.success(), "it did not drain: {status}");
    Ok(())
}

/// Capability 5, with processes: maxUnavailable 0, maxSurge 1.
#[tokio::test]
async fn replicas_that_are_replaced_one_after_the_other_fail_no_request() -> Result<()> {
    let mut installation = Installation::start().await?;
    quickstart::ready(&installation).await?;
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
        let mut ready = caller.clone();
        ready.endpoint = format!(
            "https://127.0.0.1:{}",
            forward_to_any(vec![format!("{}:8443", installation.pods.address(number))])?
        );
        drop(application::answered(&ready).await?);
        load.goes_on(10).await?;
        retire(old).await?;
        load.goes_on(10).await?;
        successors.push(new);
    }
    println!("traffic while replicas went: {:?}", load.end_unharmed(60)?);
    Ok(())
}
