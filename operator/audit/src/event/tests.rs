//! The record's shape against the examples of spec §5.4.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::*;

static NO_PARAMETERS: LazyLock<RequestParameters> = LazyLock::new(RequestParameters::default);
static NO_STORE: LazyLock<AdditionalEventData> = LazyLock::new(AdditionalEventData::default);

/// A call that succeeded, with nothing but what every record has.
pub(crate) fn call() -> ApiCall<'static> {
    ApiCall {
        user_identity: UserIdentity::User {
            principal_id: "EX_PRINCIPAL_ID",
            arn: "arn:aws:iam::111122223333:user/Alice",
            account_id: "111122223333",
            access_key_id: "EXAMPLE_KEY_ID",
            user_name: "Alice",
        },
        event_source: "kms.amazonaws.com",
        event_name: "Decrypt",
        aws_region: "eu-west-1",
        source_ip_address: IpAddr::from([192, 0, 2, 10]),
        user_agent: Some("aws-cli/2".into()),
        error_code: None,
        error_message: None,
        request_parameters: &NO_PARAMETERS,
        response_elements: None,
        additional_event_data: &NO_STORE,
        request_id: Uuid::from_u128(1),
        read_only: true,
        resources: &[],
        recipient_account_id: Some("111122223333"),
    }
}

fn record(call: ApiCall<'_>) -> Value {
    let time = "2024-02-03T09:15:04.731Z".parse().unwrap();
    let line = Event::new(Uuid::from_u128(2), time, call).to_line().unwrap();
    serde_json::from_slice(&line).unwrap()
}

#[test]
fn the_common_part_has_the_documented_members_and_nothing_else() {
    let expected = json!({
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "principalId": "EX_PRINCIPAL_ID",
                         "arn": "arn:aws:iam::111122223333:user/Alice", "accountId": "111122223333",
                         "accessKeyId": "EXAMPLE_KEY_ID", "userName": "Alice"},
        "eventTime": "2024-02-03T09:15:04Z", "eventSource": "kms.amazonaws.com", "eventName": "Decrypt",
        "awsRegion": "eu-west-1", "sourceIPAddress": "192.0.2.10", "userAgent": "aws-cli/2",
        "requestParameters": null, "responseElements": null,
        "requestID": "00000000-0000-0000-0000-000000000001", "eventID": "00000000-0000-0000-0000-000000000002",
        "readOnly": true, "eventType": "AwsApiCall", "managementEvent": true,
        "recipientAccountId": "111122223333", "eventCategory": "Management"
    });
    assert_eq!(record(call()), expected);
}

#[test]
fn a_failed_call_on_a_store_carries_its_code_its_message_and_the_store() {
    let failed = record(ApiCall {
        error_code: Some("KMSInvalidStateException"),
        error_message: Some("KMS cannot communicate with your CloudHSM cluster"),
        additional_event_data: &AdditionalEventData {
            custom_key_store_id: Some("cks-1234567890abcdef0".to_owned()),
            ..AdditionalEventData::default()
        },
        ..call()
    });
    assert_eq!(failed["errorCode"], "KMSInvalidStateException");
    assert_eq!(failed["errorMessage"], "KMS cannot communicate with your CloudHSM cluster");
    assert_eq!(failed["additionalEventData"], json!({"customKeyStoreId": "cks-1234567890abcdef0"}));
}

#[test]
fn the_encryption_context_is_recorded_in_plaintext_and_the_key_as_a_resource() {
    let encrypted = record(ApiCall {
        request_parameters: &RequestParameters {
            key_id: Some("alias/quickstart".to_owned()),
            encryption_context: Some(BTreeMap::from([("Department".to_owned(), "Engineering".to_owned())])),
            encryption_algorithm: Some("SYMMETRIC_DEFAULT"),
            ..RequestParameters::default()
        },
        resources: &[Resource {
            account_id: "111122223333".to_owned(),
            kind: ResourceType::Key,
            arn: "arn:aws:kms:eu-west-1:111122223333:key/k".to_owned(),
        }],
        ..call()
    });
    assert_eq!(
        encrypted["requestParameters"],
        json!({"keyId": "alias/quickstart", "encryptionContext": {"Department": "Engineering"},
               "encryptionAlgorithm": "SYMMETRIC_DEFAULT"})
    );
    assert_eq!(
        encrypted["resources"],
        json!([{"accountId": "111122223333", "type": "AWS::KMS::Key",
                "ARN": "arn:aws:kms:eu-west-1:111122223333:key/k"}])
    );
}

#[test]
fn no_content_of_a_request_can_forge_a_second_record() {
    let forged = ApiCall { user_agent: Some("x\n{\"eventVersion\":\"1.08\"}\r\n".into()), ..call() };
    let time = "2024-02-03T09:15:04Z".parse().unwrap();
    let line = Event::new(Uuid::from_u128(2), time, forged).to_line().unwrap();
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert_eq!(line.last(), Some(&b'\n'));
}

#[test]
fn an_unauthenticated_caller_is_recorded_as_unknown_with_the_key_id_it_claimed() {
    let refused = record(ApiCall {
        user_identity: UserIdentity::Unknown { access_key_id: Some("AKIACLAIMED") },
        recipient_account_id: None,
        ..call()
    });
    assert_eq!(refused["userIdentity"], json!({"type": "Unknown", "accessKeyId": "AKIACLAIMED"}));
    assert_eq!(refused["recipientAccountId"], Value::Null);
}

#[test]
fn the_time_of_a_record_is_in_whole_seconds_and_never_later_than_the_event() {
    for (time, written) in [
        ("2024-02-03T09:15:04Z", "2024-02-03T09:15:04Z"),
        ("2024-02-03T09:15:04.999999999Z", "2024-02-03T09:15:04Z"),
        ("2024-02-29T23:59:59.5Z", "2024-02-29T23:59:59Z"),
        ("2000-01-01T00:00:00.000000001Z", "2000-01-01T00:00:00Z"),
    ] {
        let line = Event::new(Uuid::nil(), time.parse().unwrap(), call()).to_line().unwrap();
        let record: Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(record["eventTime"], written, "{time}");
    }
}
