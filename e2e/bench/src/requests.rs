//! Signed requests as bytes on the wire. The signer is the AWS SDK's; a signature may be used again within its window of
//! five minutes, so a round signs a few requests before it starts and repeats them.

use std::time::SystemTime;

use anyhow::{Context, Result};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::gateway::{AccessKey, REGION};

/// Different requests of one round, so that nothing can be answered from memory.
const VARIANTS: u8 = 64;
/// Bytes that are encrypted: the size of a data key.
const PLAINTEXT: usize = 32;

/// Requests to Encrypt, each with another plaintext.
///
/// # Errors
/// When the signer refuses.
pub(crate) fn encrypt(access_key: &AccessKey, key_id: Uuid) -> Result<Vec<Vec<u8>>> {
    let body = |variant: u8| {
        json!({
            "KeyId": key_id,
            "Plaintext": STANDARD.encode([variant; PLAINTEXT]),
            "EncryptionContext": {"Department": "Engineering", "Variant": variant.to_string()},
        })
    };
    (0..VARIANTS).map(|variant| request(access_key, "Encrypt", &body(variant))).collect()
}

/// Requests to Decrypt what [`encrypt`]'s requests were answered with, in the same order.
///
/// # Errors
/// When an answer holds no ciphertext, or the signer refuses.
pub(crate) fn decrypt(access_key: &AccessKey, encrypted: &[Vec<u8>]) -> Result<Vec<Vec<u8>>> {
    let request = |(variant, answer): (usize, &Vec<u8>)| {
        let answer: Value = serde_json::from_slice(answer)?;
        let blob = answer.get("CiphertextBlob").context("an answer without a ciphertext")?;
        let body = json!({
            "CiphertextBlob": blob,
            "EncryptionContext": {"Department": "Engineering", "Variant": variant.to_string()},
        });
        request(access_key, "Decrypt", &body)
    };
    encrypted.iter().enumerate().map(request).collect()
}

fn request(access_key: &AccessKey, operation: &str, body: &Value) -> Result<Vec<u8>> {
    let body = body.to_string();
    let target = format!("TrentService.{operation}");
    let headers =
        [("host", "kms.bench"), ("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target.as_str())];
    let identity = Credentials::new(&access_key.id, &access_key.secret, None, None, "bench").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("kms")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable =
        SignableRequest::new("POST", "http://kms.bench/", headers.into_iter(), SignableBody::Bytes(body.as_bytes()))?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    let mut text = String::from("POST / HTTP/1.1\r\n");
    for (name, value) in headers.into_iter().chain(instructions.headers()) {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("user-agent: keystore-bench/1\r\ncontent-length: {}\r\n\r\n{body}", body.len()));
    Ok(text.into_bytes())
}
