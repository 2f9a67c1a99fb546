//! The record itself: the members every API call has, and its form as one JSON line.
//!
//! It borrows what it is made of: a record is written as soon as it is made, and there is one for each request.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use uuid::Uuid;

use crate::identity::UserIdentity;
use crate::parameters::{AdditionalEventData, RequestParameters, ResponseElements};

/// The type of a resource in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum ResourceType {
    /// A KMS key.
    #[serde(rename = "AWS::KMS::Key")]
    Key,
    /// An alias.
    #[serde(rename = "AWS::KMS::Alias")]
    Alias,
}

/// One entry of `resources`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// The account that owns the resource.
    #[serde(rename = "accountId")]
    pub account_id: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: ResourceType,
    /// Its ARN.
    #[serde(rename = "ARN")]
    pub arn: String,
}

/// One API call, finished or refused: everything about it that goes into the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiCall<'a> {
    /// Who called.
    pub user_identity: UserIdentity<'a>,
    /// The service's host name, such as `kms.amazonaws.com`.
    pub event_source: &'static str,
    /// The operation's AWS name, or `UnknownOperation`.
    pub event_name: &'static str,
    /// The Region of the endpoint.
    pub aws_region: &'a str,
    /// Where the request came from.
    pub source_ip_address: IpAddr,
    /// What the client called itself; cut to a bounded length by the caller.
    pub user_agent: Option<Cow<'a, str>>,
    /// The exception's name when the request failed.
    pub error_code: Option<&'static str>,
    /// The message sent to the caller when the request failed.
    pub error_message: Option<&'a str>,
    /// What was asked for.
    pub request_parameters: &'a RequestParameters,
    /// What a mutation answered.
    pub response_elements: Option<&'a ResponseElements>,
    /// Facts about the store involved.
    pub additional_event_data: &'a AdditionalEventData,
    /// The id that the response header carries.
    pub request_id: Uuid,
    /// True for reads and for cryptographic operations (spec §5.2).
    pub read_only: bool,
    /// The resources that the call was about.
    pub resources: &'a [Resource],
    /// The account that gets the record, when one is known.
    pub recipient_account_id: Option<&'a str>,
}

/// A record with its own identity and time, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<'a> {
    id: Uuid,
    time: Timestamp,
    call: ApiCall<'a>,
}

impl<'a> Event<'a> {
    /// Makes the record of `call`, which ended at `time`. `id` must be unique.
    #[must_use]
    pub fn new(id: Uuid, time: Timestamp, call: ApiCall<'a>) -> Self {
        Self { id, time, call }
    }

    /// The record as one line of JSON with its newline.
    ///
    /// JSON escapes every control character, so no content of a request can start a second line.
    ///
    /// # Errors
    /// Only when serialisation itself fails, which no value of these types causes.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = Vec::with_capacity(1_024);
        self.append_line(&mut line)?;
        Ok(line)
    }

    /// Appends the line to `lines`; when that fails they are as before.
    ///
    /// # Errors
    /// As [`Event::to_line`].
    pub(crate) fn append_line(&self, lines: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let before = lines.len();
        let written = serde_json::to_writer(&mut *lines, self);
        match written {
            Ok(()) => lines.push(b'\n'),
            Err(_) => lines.truncate(before),
        }
        written
    }
}

impl Serialize for Event<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let call = &self.call;
        let parameters = (!call.request_parameters.is_empty()).then_some(call.request_parameters);
        let mut record = serializer.serialize_struct("Event", 20)?;
        record.serialize_field("eventVersion", "1.08")?;
        record.serialize_field("userIdentity", &call.user_identity)?;
        record.serialize_field("eventTime", &WholeSeconds(self.time))?;
        record.serialize_field("eventSource", call.event_source)?;
        record.serialize_field("eventName", call.event_name)?;
        record.serialize_field("awsRegion", call.aws_region)?;
        record.serialize_field("sourceIPAddress", &call.source_ip_address)?;
        record.serialize_field("userAgent", &call.user_agent)?;
        if let Some(code) = call.error_code {
            record.serialize_field("errorCode", code)?;
            record.serialize_field("errorMessage", &call.error_message)?;
        }
        record.serialize_field("requestParameters", &parameters)?;
        record.serialize_field("responseElements", &call.response_elements)?;
        if !call.additional_event_data.is_empty() {
            record.serialize_field("additionalEventData", call.additional_event_data)?;
        }
        record.serialize_field("requestID", &call.request_id)?;
        record.serialize_field("eventID", &self.id)?;
        record.serialize_field("readOnly", &call.read_only)?;
        if !call.resources.is_empty() {
            record.serialize_field("resources", call.resources)?;
        }
        record.serialize_field("eventType", "AwsApiCall")?;
        record.serialize_field("managementEvent", &true)?;
        record.serialize_field("recipientAccountId", &call.recipient_account_id)?;
        record.serialize_field("eventCategory", "Management")?;
        record.end()
    }
}

/// A time as AWS writes it in records: RFC 3339 in UTC without a fraction, which is cut off.
struct WholeSeconds(Timestamp);

impl Serialize for WholeSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A pattern would be read again for each record.
        serializer.collect_str(&format_args!("{:.0}", self.0))
    }
}

#[cfg(test)]
pub(crate) mod tests;
