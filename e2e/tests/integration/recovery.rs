//! What stands for a key is lost and comes back from the recovery records with the same ids and the same material (D5, INV-12, INV-13, T-04).
//!
//! `losses`: seven ways to lose it, each looked at closely. `orders`: objects, namespace, definitions and release in every order, with finalizers
//! taken off by hand. `records`: when a record is written, and what is not in it.
//!
//! The API server, etcd, the controllers, the gateway and the HSMs are real. There is no controller manager (`e2e::recovery` does what its
//! namespace controller would) and no Helm: a release that is gone is its processes killed, and its accounts, roles and policies stay.
//! `kind_loss` has all of them.

mod losses;
mod orders;
mod records;

use anyhow::{Context, Result, ensure};
use e2e::hsm::Hsms;
use e2e::identity::Identity;
use e2e::installation::Installation;
use e2e::quickstart::{self, ACCESS_KEY, ALIAS, NAME};
use e2e::recovery::{break_the_glass, keystore_ok};
use e2e::scenario::{Tenant, eventually_ok};
use e2e::sdk::{Sdk, bytes, bytes_of};
use hsm_client::command::KeySearch;
use operator_api::ConnectionState;
use serde_json::json;

/// The quickstart at work, and what must be the same after every loss.
struct Bench {
    installation: Installation,
    tenant: Tenant,
    before: Identity,
    /// What was encrypted before anything was lost.
    blob: Vec<u8>,
}

impl Bench {
    /// With an old ciphertext, and without the protection that would refuse the losses.
    async fn unprotected() -> Result<Self> {
        let mut installation = Installation::start().await?;
        let tenant = quickstart::ready(&installation).await?;
        let mut sdk = quickstart::application(&mut installation).await?;
        let encrypted = sdk.kms("encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"kept") }))?.ok()?;
        let blob = bytes_of(&encrypted, "CiphertextBlob")?;
        let before = Identity::of(&tenant).await.with_context(|| installation.last_words())?;
        break_the_glass(&installation).await?;
        Ok(Self { installation, tenant, before, blob })
    }

    /// `kubectl keystore recover`. What went one by one its owner may have removed on purpose: it comes back only with `--removed`.
    fn recover(&self, one_by_one: bool) -> Result<()> {
        let removed = one_by_one.then_some("--removed");
        let arguments: Vec<_> = ["recover"].into_iter().chain(removed).collect();
        println!("{}", keystore_ok(&self.installation, &arguments)?);
        Ok(())
    }

    /// Everything works as before, with the same ids and the same material. `after` tells this time from the others.
    async fn is_back(&self, after: &str) -> Result<()> {
        let Self { installation, tenant, before, blob } = self;
        // Roles and access keys are the tenant's manifests; what came back fits them, also where they have changed since.
        let changed = quickstart::manifests()?.replace("First key of the quickstart", &format!("Key after {after}"));
        installation.apply(&changed)?;
        tenant.store_reaches(NAME, ConnectionState::Connected).await.with_context(|| installation.last_words())?;
        assert_eq!(Identity::of(tenant).await.with_context(|| installation.last_words())?, *before);
        let mut sdk = Sdk::start(&installation.caller(NAME, ACCESS_KEY).await?)?;
        // The gateway's watches were refused while there were no definitions, and come back after a pause.
        let opened = eventually_ok(&mut sdk, "decrypt", &json!({ "CiphertextBlob": bytes(blob) })).await?;
        assert_eq!(bytes_of(&opened, "Plaintext")?, b"kept");
        eventually_ok(&mut sdk, "encrypt", &json!({ "KeyId": ALIAS, "Plaintext": bytes(b"new") })).await?;
        let nothing = keystore_ok(installation, &["recover"])?;
        ensure!(nothing.contains("nothing to bring back"), "{nothing}");
        Ok(())
    }

    /// INV-19: not a second key anywhere, and the same material everywhere.
    async fn one_key_on_every_hsm(&self) -> Result<()> {
        let cluster = self.tenant.cluster_is_active(NAME).await?;
        for session in Hsms::of(&self.installation.admin().await?, &cluster).await?.officer_sessions().await? {
            let search = KeySearch { namespace: NAME.to_owned(), name: NAME.to_owned(), after: None, limit: 10 };
            let found = session.find_keys(&search).await?.keys;
            let prints: Vec<_> = found.iter().map(|record| Some(hex::encode(record.fingerprint))).collect();
            ensure!(prints == [self.before.fingerprint.clone()], "{}: {prints:?}", session.identity().hsm_id);
        }
        Ok(())
    }
}
