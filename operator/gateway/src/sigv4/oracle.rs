//! Signs requests with the AWS SDK's signer and lets our verifier judge them.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::*;

pub(super) const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub(super) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
pub(super) const REGION: &str = "local-1";
pub(super) const HOST: &str = "kms.local-1.test:8443";

pub(super) fn user() -> User {
    User { namespace: "team-a".into(), account_id: "111122223333".into(), name: "app".into(), uid: "uid".into() }
}

/// One known access key.
pub(super) struct Keys(Arc<Credential>);

impl Default for Keys {
    fn default() -> Self {
        Self::with(ACCESS_KEY_ID, SECRET)
    }
}

impl Keys {
    pub(super) fn with(id: &str, secret: &str) -> Self {
        let secret = SecretAccessKey::new(Zeroizing::new(secret.to_owned()));
        Self(Arc::new(Credential::new(id.into(), secret, user())))
    }
}

impl CredentialSource for Keys {
    fn credential(&self, access_key_id: &str) -> Option<Arc<Credential>> {
        (access_key_id == &*self.0.access_key_id).then(|| Arc::clone(&self.0))
    }
}

/// A request in pieces that a test can break one by one.
#[derive(Clone)]
pub(super) struct Sent {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) authority: Option<String>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// The instant at which the tests' requests are signed: well inside of a day.
pub(super) fn signed_at() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// How a test deviates from the plain request.
pub(super) struct Plan<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) secret: &'a str,
    pub(super) at: Timestamp,
    pub(super) headers: Vec<(&'a str, &'a str)>,
    pub(super) body: &'a [u8],
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self {
            service: "kms",
            region: REGION,
            secret: SECRET,
            at: signed_at(),
            headers: vec![
                ("host", HOST),
                ("content-type", "application/x-amz-json-1.1"),
                ("x-amz-target", "TrentService.Encrypt"),
            ],
            body: br#"{"KeyId":"alias/quickstart","Plaintext":"aGk="}"#,
        }
    }
}

impl Plan<'_> {
    /// Signs with the AWS SDK's signer.
    pub(super) fn sign(&self) -> Sent {
        let identity = Credentials::new(ACCESS_KEY_ID, self.secret, None, None, "test").into();
        let since_epoch = Duration::from_secs(u64::try_from(self.at.as_second()).unwrap());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::UNIX_EPOCH + since_epoch)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let url = format!("https://{HOST}/");
        let headers = self.headers.iter().copied();
        let signable = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(self.body)).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut map = HeaderMap::new();
        let own = self.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let added = instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, value) in own.chain(added) {
            map.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value).unwrap());
        }
        Sent {
            method: Method::POST,
            path: "/".to_owned(),
            query: None,
            authority: None,
            headers: map,
            body: self.body.to_vec(),
        }
    }
}

impl Sent {
    pub(super) fn verify_at(&self, now: Timestamp, keys: &Keys) -> Result<(), Refusal> {
        let received = ReceivedRequest {
            method: &self.method,
            path: &self.path,
            query: self.query.as_deref(),
            authority: self.authority.as_deref(),
            headers: &self.headers,
            body: &self.body,
        };
        verify(received, REGION, keys, now).map(drop)
    }

    pub(super) fn verify(&self) -> Result<(), Refusal> {
        self.verify_at(signed_at(), &Keys::default())
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    pub(super) fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::try_from(value).unwrap());
    }

    /// Adds a header of a name that is there already.
    pub(super) fn also(&mut self, name: &'static str, value: &str) {
        assert!(self.headers.append(name, HeaderValue::try_from(value).unwrap()), "{name} was there");
    }

    /// Replaces a part of the `Authorization` header, which must be there.
    pub(super) fn replace_in_authorization(&mut self, from: &str, to: &str) {
        let header = self.header("authorization").to_owned();
        assert!(header.contains(from), "{header}");
        self.set("authorization", &header.replacen(from, to, 1));
    }
}

#[test]
fn what_the_aws_sdk_signs_is_accepted_for_both_services() {
    assert_eq!(Plan::default().sign().verify(), Ok(()));
    let form = Plan {
        service: "sts",
        headers: vec![("host", HOST), ("content-type", "application/x-www-form-urlencoded")],
        body: b"Action=GetCallerIdentity&Version=2011-06-15",
        ..Plan::default()
    };
    assert_eq!(form.sign().verify(), Ok(()));
}

#[test]
fn a_signed_body_hash_header_is_accepted_when_it_is_true() {
    let mut settings_with_hash = Plan::default();
    let hash = hex::encode(digest::digest(&digest::SHA256, settings_with_hash.body));
    settings_with_hash.headers.push(("x-amz-content-sha256", &hash));
    assert_eq!(settings_with_hash.sign().verify(), Ok(()));
}

#[test]
fn the_host_of_an_http2_request_is_its_authority() {
    let mut sent = Plan::default().sign();
    sent.headers.remove("host");
    assert_eq!(sent.verify(), Err(Refusal::MissingSignedHeader));
    sent.authority = Some(HOST.to_owned());
    assert_eq!(sent.verify(), Ok(()));
}

#[test]
fn spaces_in_a_signed_value_are_folded_as_the_sdk_folds_them() {
    let mut plan = Plan::default();
    plan.headers.push(("x-amz-note", "  a   b  c "));
    assert_eq!(plan.sign().verify(), Ok(()));
}

#[test]
fn the_cached_signing_key_is_not_used_for_another_day_or_service() {
    let keys = Keys::default();
    let tomorrow: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    for _ in 0..2 {
        assert_eq!(Plan::default().sign().verify_at(signed_at(), &keys), Ok(()));
        assert_eq!(Plan { at: tomorrow, ..Plan::default() }.sign().verify_at(tomorrow, &keys), Ok(()));
        let sts = Plan { service: "sts", headers: vec![("host", HOST)], ..Plan::default() };
        assert_eq!(sts.sign().verify_at(signed_at(), &keys), Ok(()));
    }
}
