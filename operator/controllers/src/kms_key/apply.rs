//! The steps of P2, as effects: each idempotent, each leader-checked, each under its own name for the tests that stop the process there.

use std::time::Instant;

use hsm_client::{HsmError, ReturnCode, Session, command::NewKey};
use kube::{Api, ResourceExt};
use operator_api::{KmsKey, labels};
use operator_domain::{
    identifier::{HsmId, KeyArn, KeyId},
    key::creation::{CreationStep, Fingerprint},
};

use super::{
    error::KeyError,
    observe::{self, Observed},
};
use crate::{
    context::Context,
    effect::{self, Site},
    fences, random,
    report::Controller,
};

/// Performs one step; returns the object if the step changed it.
pub(super) async fn apply(
    context: &Context,
    api: &Api<KmsKey>,
    key: &KmsKey,
    observed: &Observed,
    step: CreationStep,
    account: &str,
) -> Result<Option<KmsKey>, KeyError> {
    match step {
        CreationStep::AddFinalizer => {
            let writes = context.writes(Controller::KmsKey);
            Ok(Some(writes.add_finalizer(api, key, labels::KEY_FINALIZER).await?))
        }
        CreationStep::WriteIntent { hsm } => write_intent(context, api, key, &hsm).await.map(Some),
        CreationStep::Generate { hsm, op_id } => {
            generate(context, key, session(observed, &hsm)?, &op_id, account).await.map(|()| None)
        }
        CreationStep::Copy { from, to } => copy(context, key, observed, &from, &to).await.map(|()| None),
        CreationStep::WriteFingerprint(print) => write_fingerprint(context, api, key, &print).await.map(Some),
        CreationStep::Done | CreationStep::Wait | CreationStep::Stop(_) => Ok(None),
    }
}

/// P2.2: id and intent in one conditional patch; a stale read fails here (D2).
async fn write_intent(context: &Context, api: &Api<KmsKey>, key: &KmsKey, hsm: &HsmId) -> Result<KmsKey, KeyError> {
    let id = KeyId::from_random(*random::bytes()?).to_string();
    let op_id = hex::encode(*random::bytes::<16>()?);
    let intent = serde_json::json!({ "uid": key.uid(), "opId": op_id, "hsmId": hsm.as_str() });
    let patch = serde_json::json!({ "spec": { "keyId": id, "materialIntent": intent } });
    Ok(effect::at(Site::KeyIntent, context.writes(Controller::KmsKey).set_once(api, key, patch)).await?)
}

/// P2.3. A key that another operation made under this id is no error here: the next look sees whose it is (INV-23).
async fn generate(
    context: &Context,
    key: &KmsKey,
    session: &Session,
    op_id: &str,
    account: &str,
) -> Result<(), KeyError> {
    let id = key.spec.key_id.as_deref().ok_or(KeyError::Malformed("spec.keyId"))?;
    let mut operation = [0u8; 16];
    hex::decode_to_slice(op_id, &mut operation).map_err(|_| KeyError::Malformed("spec.materialIntent.opId"))?;
    let fence = fences::fence_on(context, session).await?;
    let new = NewKey {
        key_id: observe::parse_id(id)?,
        op_id: operation,
        label: arn(context, id, account)?,
        namespace: key.namespace().unwrap_or_default(),
        name: key.name_any(),
        object_uid: key.uid().unwrap_or_default(),
        fence,
    };
    context.leader.check()?;
    match effect::at(Site::KeyGenerate, session.generate_key(&new)).await {
        Ok(_) | Err(HsmError::Refused(ReturnCode::KeyExists)) => Ok(()),
        Err(error) => Err(refused(context, session, "generate the key", error)),
    }
}

/// The ARN, decided once: the HSM's record keeps it, and nothing derives it again (D1).
fn arn(context: &Context, key_id: &str, account: &str) -> Result<String, KeyError> {
    let arn = KeyArn {
        partition: context.settings.partition.parse().map_err(|_| KeyError::Malformed("the partition"))?,
        region: context.settings.region.parse().map_err(|_| KeyError::Malformed("the Region"))?,
        account: account.parse().map_err(|_| KeyError::Malformed("the account"))?,
        key_id: key_id.parse().map_err(|_| KeyError::Malformed("spec.keyId"))?,
    };
    Ok(arn.to_string())
}

/// P2.4: one masked copy, carried to every HSM that lacks it. What they say afterwards is read by the next look (P2.5).
async fn copy(
    context: &Context,
    key: &KmsKey,
    observed: &Observed,
    from: &HsmId,
    to: &[HsmId],
) -> Result<(), KeyError> {
    let id = observe::parse_id(key.spec.key_id.as_deref().ok_or(KeyError::Malformed("spec.keyId"))?)?;
    let source = session(observed, from)?;
    context.leader.check()?;
    let extracted = effect::at(Site::KeyExtract, source.extract_masked_key(id)).await;
    let masked = extracted.map_err(|error| refused(context, source, "extract the key", error))?;
    let mut outcome = Ok(());
    for hsm in to {
        // One HSM that does not answer keeps none of the others from its copy.
        outcome = outcome.and(insert(context, session(observed, hsm)?, &masked).await);
    }
    outcome
}

async fn insert(context: &Context, target: &Session, masked: &[u8]) -> Result<(), KeyError> {
    let fence = fences::fence_on(context, target).await?;
    context.leader.check()?;
    match effect::at(Site::KeyInsert, target.insert_masked_key(masked, fence)).await {
        // Other material under the same id: both are kept, and the next look sees the conflict (INV-06).
        Ok(_) | Err(HsmError::Refused(ReturnCode::KeyNotUsable)) => Ok(()),
        Err(error) => Err(refused(context, target, "insert the key", error)),
    }
}

/// P2.6: from here on no other material can ever stand behind this object.
async fn write_fingerprint(
    context: &Context,
    api: &Api<KmsKey>,
    key: &KmsKey,
    print: &Fingerprint,
) -> Result<KmsKey, KeyError> {
    let patch = serde_json::json!({ "spec": { "materialFingerprint": hex::encode(print) } });
    Ok(effect::at(Site::KeyFingerprint, context.writes(Controller::KmsKey).set_once(api, key, patch)).await?)
}

fn session<'a>(observed: &'a Observed, hsm: &HsmId) -> Result<&'a Session, KeyError> {
    let session = observed.sessions.iter().find(|session| session.identity().hsm_id == hsm.as_str());
    session.ok_or(KeyError::Waiting)
}

/// A refused fence is forgotten: whether this process still leads decides whether it may take another. An HSM that did not answer is left alone
/// for a moment.
pub(super) fn refused(context: &Context, session: &Session, what: &'static str, error: HsmError) -> KeyError {
    if error.code() == Some(ReturnCode::FenceTooLow) {
        context.fences.forget(&session.identity().identity_fingerprint);
    }
    context.silences.note(session.identity(), Some(&error), Instant::now());
    KeyError::hsm(what, &session.identity().hsm_id)(error)
}
