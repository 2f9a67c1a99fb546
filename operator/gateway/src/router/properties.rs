//! The endpoint for any body whatever: well-signed requests with hostile JSON, over stand-ins for HSMs and Kubernetes.

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::tests::bench::{ACCOUNT_A, Answered, Bench, STORE_A, key};
use crate::error::ErrorCode;
use crate::index::KeyEntry;
use crate::target::Operation;

/// Requests after which the bench is made anew, so that what it remembers stays small.
const REQUESTS: u32 = 512;
/// Longest answer: far more than a page of keys, or the largest plaintext in base64.
const LONGEST_ANSWER: usize = 64 * 1_024;

/// An endpoint that any body can be tried on.
pub struct Endpoint {
    runtime: Runtime,
    bench: Bench,
    requests: u32,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::new()
    }
}

impl Endpoint {
    /// Two tenants, a key each, and controllers that publish every new key at once.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("starts");
        Self { runtime, bench: bench(), requests: 0 }
    }

    /// Sends one signed request: the first byte chooses the operation, the rest is the body.
    ///
    /// The answer is a success or an error of the caller, never a fault; header, body and audit record agree about it;
    /// the key of the other tenant never answers; and what Encrypt sealed, Decrypt opens with the same context.
    ///
    /// # Panics
    /// When that does not hold.
    pub fn kms_json(&mut self, data: &[u8]) {
        let Some((choice, body)) = data.split_first() else { return };
        self.requests += 1;
        if self.requests.is_multiple_of(REQUESTS) {
            self.bench = bench();
        }
        let Some(operation) = Operation::ALL.get(usize::from(*choice) % Operation::ALL.len()) else { return };
        let answer = self.call(operation.name(), body);
        if *operation == Operation::Encrypt && answer.status == 200 {
            self.opens_again(body, &answer.json());
        }
    }

    fn call(&self, operation: &str, body: &[u8]) -> Answered {
        let answer = self.runtime.block_on(self.bench.a.call_raw(operation, body));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 200 || answer.status.is_client_error(), "{operation}: {text}");
        assert!(answer.body.len() <= LONGEST_ANSWER, "{operation}: {} bytes", answer.body.len());
        let json: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
        assert!(json.is_object(), "{text}");
        assert!(answer.headers.get("x-amzn-requestid").is_some_and(|id| Uuid::try_parse_ascii(id.as_bytes()).is_ok()));
        let lines = std::mem::take(&mut *self.bench.output.0.lock().expect("not poisoned"));
        let record: Value = serde_json::from_slice(&lines).expect("one record for each request");
        if answer.status == 200 {
            assert_eq!(record["errorCode"], Value::Null, "{record}");
        } else {
            let name = answer.error();
            assert!(ErrorCode::ALL.iter().any(|code| code.name() == name), "{name}");
            let recorded = record["errorCode"].as_str().unwrap_or_default();
            assert!(name == recorded || name == format!("{recorded}Exception"), "{name}, and {record}");
        }
        answer
    }

    fn opens_again(&self, body: &[u8], sealed: &Value) {
        let request: Value = serde_json::from_slice(body).expect("it was served");
        assert!(sealed["KeyId"].as_str().is_some_and(|arn| arn.contains(ACCOUNT_A)), "{sealed}");
        let mut decrypt = json!({"CiphertextBlob": sealed["CiphertextBlob"]});
        if let Some(context) = request.get("EncryptionContext") {
            decrypt["EncryptionContext"] = context.clone();
        }
        let opened = self.call("Decrypt", decrypt.to_string().as_bytes());
        assert_eq!(opened.json()["Plaintext"], request["Plaintext"], "{request}");
        decrypt["EncryptionContext"] = json!({"another": "context"});
        if request.get("EncryptionContext") != decrypt.get("EncryptionContext") {
            assert_eq!(self.call("Decrypt", decrypt.to_string().as_bytes()).error(), "InvalidCiphertextException");
        }
    }
}

fn bench() -> Bench {
    let bench = Bench::with_key_patience(std::time::Duration::ZERO);
    let controller = |index: &crate::index::Index, namespace: &str, entry: KeyEntry| {
        let published = key("key-new", ACCOUNT_A, Uuid::new_v4(), STORE_A);
        index.put_key(namespace, KeyEntry { name: entry.name, uid: entry.uid, ..published });
    };
    *bench.kube.controller.lock().expect("not poisoned") = Some(Box::new(controller));
    bench
}

/// A good body for each operation, and some that are almost good.
#[must_use]
pub fn kms_json_seeds() -> Vec<Vec<u8>> {
    let bodies = [
        "{}".to_owned(),
        r#"{"KeyId":"alias/quickstart","Plaintext":"aGk=","EncryptionContext":{"b":"2","a":"1"}}"#.to_owned(),
        r#"{"KeyId":"alias/quickstart","KeySpec":"AES_256","NumberOfBytes":null,"GrantTokens":[]}"#.to_owned(),
        r#"{"KeyId":"arn:aws:kms:local-1:444455556666:alias/quickstart","Plaintext":"aGk=","DryRun":true}"#.to_owned(),
        r#"{"CiphertextBlob":"AQEBAQEBAQ==","EncryptionAlgorithm":"SYMMETRIC_DEFAULT","Recipient":{}}"#.to_owned(),
        r#"{"Limit":1000,"Marker":"AAAA"}"#.to_owned(),
        r#"{"NumberOfBytes":1024}"#.to_owned(),
        format!(r#"{{"CustomKeyStoreId":"{STORE_A}"}}"#),
        format!(
            r#"{{"Origin":"AWS_CLOUDHSM","CustomKeyStoreId":"{STORE_A}","Tags":[{{"TagKey":"a","TagValue":"b"}}]}}"#
        ),
        format!("{}1{}", "[".repeat(300), "]".repeat(300)),
        r#"{"KeyId":"\ud800","Plaintext":"aGk","EncryptionContext":{"a":1e999}}"#.to_owned(),
    ];
    let operations = (0..u8::MAX).take(Operation::ALL.len());
    operations.flat_map(|choice| bodies.iter().map(move |body| [&[choice], body.as_bytes()].concat())).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::sigv4::properties::replay;

    #[test]
    fn what_fuzzing_began_with_and_found_holds() {
        let endpoint = RefCell::new(Endpoint::new());
        replay::replay("kms_json", &kms_json_seeds(), |data| endpoint.borrow_mut().kms_json(data));
    }
}
