//! From a whole HTTP request to a whole HTTP response: authenticate, find the operation, run it, audit, answer.
//!
//! Nothing is parsed beyond headers before the signature is verified, and no reply leaves before its record is written
//! (INV-69). There is one way in, [`Gateway::handle`], for every route there is.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use audit::{ApiCall, Event, UserIdentity};
use bytes::Bytes;
use hsm_protocol::Wiped;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use jiff::Timestamp;
use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{ApiError, ErrorCode};
use crate::gateway::Gateway;
use crate::ids::Ids;
use crate::operation::{self, Answer, Call, Notes};
use crate::refusals::Refused;
use crate::replay::SignedOnce;
use crate::service::Service;
use crate::sigv4::{self, ReceivedRequest};
use crate::sts;
use crate::target::{Operation, Target};

/// Longest user agent and claimed access key id in a record, in characters.
const LONGEST_RECORDED: usize = 256;
/// `eventName` when no operation of ours was named.
const UNKNOWN_OPERATION: &str = "UnknownOperation";
/// Names of headers, read at compile time and not for each request.
static TARGET: HeaderName = HeaderName::from_static("x-amz-target");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
static ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// A request whose body has been read.
pub struct WholeRequest {
    /// Method, target, headers.
    pub parts: Parts,
    /// The body; wiped when the request is done.
    pub body: Wiped,
    /// The peer's address.
    pub peer: IpAddr,
    /// When it arrived, by the wall clock.
    pub received_at: Timestamp,
}

/// What became of a request, before it is audited and written out.
struct Outcome {
    service: Service,
    operation: Option<Operation>,
    caller: Option<Caller>,
    notes: Notes,
    result: Result<Answer, ApiError>,
}

impl Gateway {
    /// Answers one request.
    pub async fn handle(&self, request: WholeRequest) -> Response<Full<Bytes>> {
        let began = Instant::now();
        let ids = Ids::random(request.received_at);
        let request_id = ids.request;
        let mut outcome = self.process(&request, request_id).await;
        let recorded = self.audit.record(&self.event(&request, &outcome, ids));
        if let Err(error) = recorded.await {
            tracing::error!(%error, %request_id, "a request was not audited");
            self.metrics.audit_failed();
            // Reads of metadata still answer; everything else fails (INV-69).
            if outcome.operation.is_some_and(|operation| !operation.read_only() || operation.is_cryptographic()) {
                outcome.result = Err(ApiError::internal());
            }
        }
        let error = outcome.result.as_ref().err().map(|error| error.code);
        self.metrics.answered(outcome.operation, error, began.elapsed());
        respond(outcome.service, outcome.result, request_id)
    }

    /// Answers a request whose body was not read: too large, too slow, or broken. It is audited like any other.
    pub async fn refuse(&self, parts: Parts, peer: IpAddr, error: ApiError) -> Response<Full<Bytes>> {
        let code = error.code;
        let request = WholeRequest { parts, body: Wiped::default(), peer, received_at: Timestamp::now() };
        let ids = Ids::random(request.received_at);
        let request_id = ids.request;
        let outcome = Outcome {
            service: spoken(&request),
            operation: None,
            caller: None,
            notes: Notes::default(),
            result: Err(error),
        };
        let recorded = self.audit.record(&self.event(&request, &outcome, ids));
        if let Err(error) = recorded.await {
            tracing::error!(%error, %request_id, "a request was not audited");
            self.metrics.audit_failed();
        }
        self.metrics.answered(None, Some(code), std::time::Duration::ZERO);
        respond(outcome.service, outcome.result, request_id)
    }

    async fn process(&self, request: &WholeRequest, request_id: Uuid) -> Outcome {
        let mut outcome = Outcome {
            service: spoken(request),
            operation: None,
            caller: None,
            notes: Notes::default(),
            result: Err(ApiError::internal()),
        };
        let (caller, signed) = match self.authenticate(request, &mut outcome) {
            Ok((caller, signed)) => (&*outcome.caller.insert(caller), signed),
            Err(error) => {
                self.refusals.note(Refused::Signature, Some(&request.peer), format_args!("{}", error.message));
                outcome.operation = named_operation(request).ok();
                outcome.result = Err(error);
                return outcome;
            }
        };
        outcome.result = match requested_operation(request, outcome.service) {
            Err(error) => Err(error),
            Ok(operation) => {
                outcome.operation = Some(operation);
                match self.admit(operation, &signed, request.received_at) {
                    Err(error) => Err(error),
                    Ok(()) if operation == Operation::GetCallerIdentity => {
                        Ok(sts::caller_identity(caller, request_id).into())
                    }
                    Ok(()) => {
                        let (body, notes) = (&request.body, &mut outcome.notes);
                        operation::run(&mut Call { gateway: self, caller, operation, body, signed: &signed, notes })
                            .await
                    }
                }
            }
        };
        outcome
    }

    fn authenticate(&self, request: &WholeRequest, outcome: &mut Outcome) -> Result<(Caller, SignedOnce), ApiError> {
        let uri = &request.parts.uri;
        let received = ReceivedRequest {
            method: &request.parts.method,
            path: uri.path(),
            query: uri.query(),
            authority: uri.authority().map(http::uri::Authority::as_str),
            headers: &request.parts.headers,
            body: &request.body,
        };
        let verified = sigv4::verify(received, &self.place.region, &*self.index, request.received_at)?;
        outcome.service = verified.service;
        let signed = SignedOnce::from(&verified);
        Ok((Caller::new(verified.credential, &self.index, &self.place)?, signed))
    }

    /// Lets a signature order one change; reads may be repeated (T-06).
    fn admit(&self, operation: Operation, signed: &SignedOnce, now: Timestamp) -> Result<(), ApiError> {
        if operation.read_only() {
            return Ok(());
        }
        self.replays.admit(signed, now).map_err(|replay| {
            tracing::info!(%replay, operation = operation.name(), "a change was not begun");
            replay.into()
        })
    }

    /// The record of a request, with what the operation has noted for it.
    fn event<'a>(&'a self, request: &'a WholeRequest, outcome: &'a Outcome, ids: Ids) -> Event<'a> {
        let Notes { parameters, response, additional, resources } = &outcome.notes;
        let error = outcome.result.as_ref().err();
        let account = outcome.caller.as_ref().map(Caller::account_id);
        let call = ApiCall {
            user_identity: outcome.caller.as_ref().map_or_else(|| claimed_identity(request), Caller::identity),
            event_source: outcome.service.event_source(),
            event_name: outcome.operation.map_or(UNKNOWN_OPERATION, Operation::name),
            aws_region: &self.place.region,
            source_ip_address: request.peer,
            user_agent: recorded(request.parts.headers.get(header::USER_AGENT)),
            error_code: error.map(|error| recorded_code(error.code)),
            error_message: error.map(|error| &*error.message),
            request_parameters: parameters,
            response_elements: response.as_ref().filter(|_| error.is_none()),
            additional_event_data: additional,
            request_id: ids.request,
            read_only: outcome.operation.is_none_or(Operation::read_only),
            resources,
            recipient_account_id: account,
        };
        Event::new(ids.event, Timestamp::now(), call)
    }
}

/// The protocol to answer in before the signed scope is known: a form is STS's.
fn spoken(request: &WholeRequest) -> Service {
    let content_type = request.parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if content_type.is_some_and(|value| value.starts_with(b"application/x-www-form-urlencoded")) {
        Service::Sts
    } else {
        Service::Kms
    }
}

/// The operation that an authenticated request asks for.
fn requested_operation(request: &WholeRequest, service: Service) -> Result<Operation, ApiError> {
    if request.parts.method != Method::POST {
        return Err(ApiError::new(ErrorCode::UnknownOperation, "Only POST is accepted."));
    }
    match service {
        Service::Kms => named_operation(request),
        Service::Sts => sts::operation(&request.body),
    }
}

fn named_operation(request: &WholeRequest) -> Result<Operation, ApiError> {
    let target = request.parts.headers.get(&TARGET).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match Target::parse(target) {
        Target::Offered(operation) => Ok(operation),
        Target::NotYet(name) => Err(ApiError::new(
            ErrorCode::UnsupportedOperation,
            format!("The operation {name} is not offered by this endpoint yet."),
        )),
        Target::Unknown => Err(ApiError::new(ErrorCode::UnknownOperation, "")),
    }
}

/// Who an unauthenticated request claims to be, without believing it.
fn claimed_identity(request: &WholeRequest) -> UserIdentity<'_> {
    let header = request.parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claimed = header.and_then(|header| sigv4::Authorization::parse(header).ok());
    UserIdentity::Unknown { access_key_id: claimed.map(|claimed| claimed.scope.access_key_id) }
}

/// CloudTrail's code for a denied request differs from the exception's name (AUD-13).
fn recorded_code(code: ErrorCode) -> &'static str {
    if code == ErrorCode::AccessDenied { "AccessDenied" } else { code.name() }
}

fn recorded(value: Option<&HeaderValue>) -> Option<Cow<'_, str>> {
    let text = String::from_utf8_lossy(value?.as_bytes());
    // No text has more characters than bytes.
    let fits = text.len() <= LONGEST_RECORDED;
    Some(if fits { text } else { text.chars().take(LONGEST_RECORDED).collect() })
}

fn respond(service: Service, result: Result<Answer, ApiError>, request_id: Uuid) -> Response<Full<Bytes>> {
    let (status, error_type, body) = match result {
        // The buffer is wiped when the last reference to it goes.
        Ok(answer) => (StatusCode::OK, None, Bytes::from_owner(answer)),
        Err(error) => match service {
            Service::Kms => (error.code.status(), Some(error.code.name()), Bytes::from(error.to_json())),
            Service::Sts => (sts::status(error.code), None, Bytes::from(sts::error(&error, request_id))),
        },
    };
    let content_type = match service {
        Service::Kms => "application/x-amz-json-1.1",
        Service::Sts => "text/xml",
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(request_id.hyphenated().encode_lower(&mut Uuid::encode_buffer())) {
        headers.insert(&REQUEST_ID, value);
    }
    if let Some(error_type) = error_type {
        headers.insert(&ERROR_TYPE, HeaderValue::from_static(error_type));
    }
    response
}

#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
#[cfg(any(test, fuzzing))]
pub(crate) mod tests;
