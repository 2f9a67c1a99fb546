//! The matrix of spec 3.6 as the document prints it, cell by cell.

use super::*;
use strum::IntoEnumIterator;

/// Columns: Enabled, Disabled, PendingDeletion (and PendingReplicaDeletion), PendingImport, Unavailable, Creating,
/// Updating. A cell is "ok" or the number of the footnote; `2 or 3` is 3 by KEY-35. UpdateAlias reads [10] for the key that
/// gets the alias.
const MATRIX: &str = "
    CancelKeyDeletion                4  4  ok 4  4  4  4
    CreateAlias                      ok ok 3  ok ok ok ok
    Decrypt                          ok 1  3  5  11 14 ok
    DeleteAlias                      ok ok ok ok ok ok ok
    DescribeKey                      ok ok ok ok ok ok ok
    DisableKey                       ok ok 3  5  ok 14 15
    EnableKey                        ok ok 3  5  ok 14 15
    Encrypt                          ok 1  3  5  11 14 ok
    GenerateDataKey                  ok 1  3  5  11 14 ok
    GenerateDataKeyWithoutPlaintext  ok 1  3  5  11 14 ok
    GetKeyPolicy                     ok ok ok ok ok ok ok
    ListAliases                      ok ok ok ok ok ok ok
    ListResourceTags                 ok ok ok ok ok ok ok
    PutKeyPolicy                     ok ok ok ok ok ok ok
    ReEncrypt                        ok 1  3  5  11 14 ok
    ScheduleKeyDeletion              ok ok 3  ok ok ok 15
    TagResource                      ok ok 3  ok ok ok ok
    UntagResource                    ok ok 3  ok ok ok ok
    UpdateAlias                      ok ok 3  ok ok ok ok
    UpdateKeyDescription             ok ok 3  ok ok ok ok
";

const ARN: &str = "arn:aws:kms:local-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn column(state: KeyState) -> usize {
    match state {
        KeyState::Enabled => 0,
        KeyState::Disabled => 1,
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => 2,
        KeyState::PendingImport => 3,
        KeyState::Unavailable => 4,
        KeyState::Creating => 5,
        KeyState::Updating => 6,
    }
}

fn text_of(footnote: &str) -> (&'static str, &'static str) {
    match footnote {
        "1" => ("DisabledException", "is disabled."),
        "3" => ("KMSInvalidStateException", "is pending deletion (or pending replica deletion)."),
        "4" => ("KMSInvalidStateException", "is not pending deletion (or pending replica deletion)."),
        "5" => ("KMSInvalidStateException", "is pending import."),
        "11" => ("KMSInvalidStateException", "is unavailable."),
        "14" => ("KMSInvalidStateException", "is creating."),
        "15" => ("KMSInvalidStateException", "is updating."),
        other => panic!("the table names footnote {other}"),
    }
}

#[test]
fn every_cell_of_the_matrix_of_3_6_holds() {
    let rows: Vec<Vec<&str>> = MATRIX.trim().lines().map(|line| line.split_whitespace().collect()).collect();
    let mut cells = 0;
    for operation in KeyOperation::iter() {
        let name: &str = operation.into();
        let row = rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("no row for {name}"));
        for state in KeyState::iter() {
            let expected = match row[1 + column(state)] {
                "ok" => Ok(()),
                footnote => Err(text_of(footnote)),
            };
            let answer = permit(operation, state, ARN);
            let answer = answer.as_ref().map_err(|refusal| {
                let complaint =
                    refusal.message.strip_prefix(ARN).expect("the text begins with the key ARN").trim_start();
                (refusal.exception.as_str(), complaint)
            });
            assert_eq!(answer.copied(), expected, "{name} in {state:?}");
            cells += 1;
        }
    }
    assert_eq!(cells, rows.len() * KeyState::iter().count(), "a row without an operation");
}
