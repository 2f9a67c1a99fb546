//! A client that signs with the AWS SDK's signer and reads answers as AWS clients do.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::REGION;
use crate::{Gateway, WholeRequest, Wiped};

/// An AWS client with one access key.
pub(crate) struct Client {
    gateway: Weak<Gateway>,
    pub(crate) access_key_id: &'static str,
    pub(crate) secret: &'static str,
}

/// An answer as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answered {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The exception's name, which body and header must agree on.
    pub(crate) fn error(&self) -> String {
        let json = self.json();
        let name = json["__type"].as_str().unwrap_or("no error").to_owned();
        let header = self.headers.get("x-amzn-errortype").map_or("no error", |value| value.to_str().unwrap());
        assert_eq!(name, header, "{json}");
        name
    }

    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

impl Client {
    pub(crate) fn new(gateway: &Arc<Gateway>, access_key_id: &'static str, secret: &'static str) -> Self {
        Self { gateway: Arc::downgrade(gateway), access_key_id, secret }
    }

    /// Calls a KMS operation with a JSON body.
    pub(crate) async fn call(&self, operation: &str, body: &Value) -> Answered {
        self.call_raw(operation, body.to_string().as_bytes()).await
    }

    /// Calls a KMS operation with any body.
    pub(crate) async fn call_raw(&self, operation: &str, body: &[u8]) -> Answered {
        let target = format!("TrentService.{operation}");
        self.send(self.signed(
            "kms",
            &[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &target)],
            body,
        ))
        .await
    }

    /// Calls STS with a form.
    pub(crate) async fn form(&self, body: &str) -> Answered {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        self.send(self.signed("sts", &headers, body.as_bytes())).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, request: WholeRequest) -> Answered {
        let response = self.gateway.upgrade().unwrap().handle(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Answered { status: parts.status, headers: parts.headers, body }
    }

    /// A signed request to `/`.
    pub(crate) fn signed(&self, service: &str, headers: &[(&str, &str)], body: &[u8]) -> WholeRequest {
        self.signed_at(Timestamp::now(), service, headers, body)
    }

    /// A request to `/` that was signed at `now`, and arrives then.
    pub(crate) fn signed_at(
        &self,
        now: Timestamp,
        service: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> WholeRequest {
        let identity = Credentials::new(self.access_key_id, self.secret, None, None, "test").into();
        let since_epoch = Duration::from_secs(u64::try_from(now.as_second()).unwrap());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(REGION)
            .name(service)
            .time(SystemTime::UNIX_EPOCH + since_epoch)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        // SDKs send it; without it, two equal calls of one second would have one signature.
        let invocation = Uuid::new_v4().to_string();
        let own = [("host", "kms.test"), ("amz-sdk-invocation-id", invocation.as_str())];
        let all: Vec<_> = own.into_iter().chain(headers.iter().copied()).collect();
        let signable =
            SignableRequest::new("POST", "https://kms.test/", all.iter().copied(), SignableBody::Bytes(body)).unwrap();
        let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
        let mut request = Request::post("/").header("user-agent", "test-client/1");
        for (name, value) in all.iter().copied().chain(instructions.headers()) {
            request = request.header(name, value);
        }
        WholeRequest {
            parts: request.body(()).unwrap().into_parts().0,
            body: Wiped::from(body.to_vec()),
            peer: IpAddr::from([192, 0, 2, 10]),
            received_at: now,
        }
    }
}
