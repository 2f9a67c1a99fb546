//! The STS query protocol: a form in, XML out, no `X-Amz-Target` (design, "Access"). One operation: GetCallerIdentity.

use uuid::Uuid;

use crate::caller::Caller;
use crate::error::{ApiError, ErrorCode};
use crate::target::Operation;
use http::StatusCode;

/// The only API version.
const VERSION: &str = "2011-06-15";
/// Namespace of every XML answer.
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Reads the operation from a form body.
///
/// # Errors
/// `UnknownOperationException` for any other action or version, and for a body that is not a form.
pub(crate) fn operation(body: &[u8]) -> Result<Operation, ApiError> {
    let unknown =
        || ApiError::new(ErrorCode::UnknownOperation, "Could not find operation for this action and version.");
    let form = std::str::from_utf8(body).map_err(|_| unknown())?;
    let (mut action, mut version) = (None, None);
    for pair in form.split('&') {
        let (name, value) = pair.split_once('=').ok_or_else(unknown)?;
        let slot = match name {
            "Action" => &mut action,
            "Version" => &mut version,
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(unknown());
        }
    }
    if action == Some("GetCallerIdentity") && version == Some(VERSION) {
        Ok(Operation::GetCallerIdentity)
    } else {
        Err(unknown())
    }
}

/// The answer to GetCallerIdentity.
pub(crate) fn caller_identity(caller: &Caller, request_id: Uuid) -> Vec<u8> {
    format!(
        "<GetCallerIdentityResponse xmlns=\"{NAMESPACE}\"><GetCallerIdentityResult><Arn>{}</Arn><UserId>{}</UserId>\
         <Account>{}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>{request_id}</RequestId>\
         </ResponseMetadata></GetCallerIdentityResponse>",
        escape(caller.arn()),
        escape(&caller.credential.user.uid),
        escape(caller.account_id()),
    )
    .into_bytes()
}

/// An error in the query protocol's form.
pub(crate) fn error(error: &ApiError, request_id: Uuid) -> Vec<u8> {
    let side = if error.code.status().is_server_error() { "Receiver" } else { "Sender" };
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error>\
         <RequestId>{request_id}</RequestId></ErrorResponse>",
        code(error.code),
        escape(&error.message),
    )
    .into_bytes()
}

/// The error's name in the query protocol, which differs from JSON's.
fn code(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::InvalidSignature => "SignatureDoesNotMatch",
        ErrorCode::UnrecognizedClient => "InvalidClientTokenId",
        ErrorCode::UnknownOperation => "InvalidAction",
        ErrorCode::Validation => "ValidationError",
        other => other.name().strip_suffix("Exception").unwrap_or(other.name()),
    }
}

/// The query protocol answers refused signatures with 403 where JSON has 400.
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidSignature
        | ErrorCode::UnrecognizedClient
        | ErrorCode::MissingAuthenticationToken
        | ErrorCode::AccessDenied => StatusCode::FORBIDDEN,
        other => other.status(),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_action_is_read_and_everything_else_is_unknown() {
        assert_eq!(operation(b"Action=GetCallerIdentity&Version=2011-06-15"), Ok(Operation::GetCallerIdentity));
        for body in [
            "",
            "{}",
            "Action=GetCallerIdentity",
            "Version=2011-06-15",
            "Action=AssumeRole&Version=2011-06-15",
            "Action=GetCallerIdentity&Version=2012-01-01",
            "Action=GetCallerIdentity&Action=AssumeRole&Version=2011-06-15",
            "Action=Encrypt&Version=2011-06-15",
        ] {
            assert_eq!(
                operation(body.as_bytes()).map_err(|error| error.code),
                Err(ErrorCode::UnknownOperation),
                "{body}"
            );
        }
    }

    #[test]
    fn an_error_has_the_names_of_the_query_protocol_and_its_text_is_escaped() {
        let refused = ApiError::new(ErrorCode::InvalidSignature, "<&\">");
        let xml = String::from_utf8(error(&refused, Uuid::nil())).unwrap();
        assert!(xml.contains("<Code>SignatureDoesNotMatch</Code><Message>&lt;&amp;&quot;&gt;</Message>"), "{xml}");
        assert_eq!(status(ErrorCode::InvalidSignature), StatusCode::FORBIDDEN);
        assert_eq!(code(ErrorCode::IncompleteSignature), "IncompleteSignature");
    }
}
