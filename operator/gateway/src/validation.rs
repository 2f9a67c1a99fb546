//! Checks parameters against the model's constraints and words the violations as AWS does (KEY-8).
//!
//! All violations of one request are reported together. Values are repeated only where they are not sensitive, and cut:
//! the text also goes into the audit record.

use crate::error::{ApiError, ErrorCode};

/// Longest part of a value that is repeated in a message, in characters.
const ECHO: usize = 128;

/// The violations found so far.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    /// The member must be present.
    pub(crate) fn required(&mut self, field: &str, present: bool) {
        if !present {
            self.0.push(format!("Value null at '{field}' failed to satisfy constraint: Member must not be null"));
        }
    }

    /// A text that is not secret must have `shortest` to `longest` characters.
    pub(crate) fn text(&mut self, field: &str, value: Option<&str>, shortest: usize, longest: usize) {
        let Some(value) = value else { return };
        let length = value.chars().count();
        if let Some(constraint) = length_constraint(length, shortest, longest) {
            self.value(field, value, &constraint);
        }
    }

    /// A blob must have `shortest` to `longest` bytes. Its content is never repeated.
    pub(crate) fn blob(&mut self, field: &str, length: Option<usize>, shortest: usize, longest: usize) {
        if let Some(constraint) = length.and_then(|length| length_constraint(length, shortest, longest)) {
            self.0.push(format!("Value at '{field}' failed to satisfy constraint: Member must {constraint}"));
        }
    }

    /// A list must have at most `longest` elements.
    pub(crate) fn list(&mut self, field: &str, length: usize, longest: usize) {
        self.blob(field, Some(length), 0, longest);
    }

    /// A number must be within `least` and `most`.
    pub(crate) fn number(&mut self, field: &str, value: Option<i64>, least: i64, most: i64) {
        let Some(value) = value else { return };
        if value < least {
            self.value(field, &value.to_string(), &format!("have value greater than or equal to {least}"));
        } else if value > most {
            self.value(field, &value.to_string(), &format!("have value less than or equal to {most}"));
        }
    }

    /// A text must be one of the enum's values.
    pub(crate) fn one_of(&mut self, field: &str, value: Option<&str>, allowed: &[&str]) {
        if let Some(value) = value.filter(|value| !allowed.contains(value)) {
            self.value(field, value, &format!("satisfy enum value set: [{}]", allowed.join(", ")));
        }
    }

    /// Any other violation of a member's constraint, without its value.
    pub(crate) fn add(&mut self, field: &str, constraint: &str) {
        self.0.push(format!("Value at '{field}' failed to satisfy constraint: Member must {constraint}"));
    }

    /// `Ok` when nothing was found.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let count = self.0.len();
        let noun = if count == 1 { "error" } else { "errors" };
        if count == 0 {
            return Ok(());
        }
        let text = format!("{count} validation {noun} detected: {}", self.0.join("; "));
        Err(ApiError::new(ErrorCode::Validation, text))
    }

    fn value(&mut self, field: &str, value: &str, constraint: &str) {
        let echo: String = value.chars().take(ECHO).collect();
        self.0.push(format!("Value '{echo}' at '{field}' failed to satisfy constraint: Member must {constraint}"));
    }
}

fn length_constraint(length: usize, shortest: usize, longest: usize) -> Option<String> {
    if length < shortest {
        Some(format!("have length greater than or equal to {shortest}"))
    } else if length > longest {
        Some(format!("have length less than or equal to {longest}"))
    } else {
        None
    }
}

/// A violation that is not about one member's own constraint.
pub(crate) fn invalid(message: &'static str) -> ApiError {
    ApiError::new(ErrorCode::Validation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(check: impl FnOnce(&mut Violations)) -> Option<String> {
        let mut violations = Violations::default();
        check(&mut violations);
        violations.finish().err().map(|error| error.message.into_owned())
    }

    #[test]
    fn the_wording_is_that_of_aws() {
        let table: [(Option<String>, Option<&str>); 6] = [
            (
                message(|v| v.required("keyId", false)),
                Some(
                    "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
                ),
            ),
            (
                message(|v| v.text("keyId", Some(""), 1, 2_048)),
                Some(
                    "1 validation error detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length greater than or equal to 1",
                ),
            ),
            (
                message(|v| v.blob("plaintext", Some(4_097), 1, 4_096)),
                Some(
                    "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length less than or equal to 4096",
                ),
            ),
            (
                message(|v| v.number("numberOfBytes", Some(0), 1, 1_024)),
                Some(
                    "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1",
                ),
            ),
            (
                message(|v| v.one_of("keySpec", Some("AES_512"), &["AES_256", "AES_128"])),
                Some(
                    "1 validation error detected: Value 'AES_512' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]",
                ),
            ),
            (
                message(|v| {
                    v.text("keyId", Some("k"), 1, 2_048);
                    v.number("limit", None, 1, 100);
                }),
                None,
            ),
        ];
        for (actual, expected) in table {
            assert_eq!(actual.as_deref(), expected);
        }
    }

    #[test]
    fn several_violations_are_counted_and_joined() {
        let text = message(|v| {
            v.required("keyId", false);
            v.required("plaintext", false);
        })
        .unwrap();
        assert!(text.starts_with("2 validation errors detected: Value null at 'keyId'"), "{text}");
        assert!(text.contains("; Value null at 'plaintext'"), "{text}");
    }

    #[test]
    fn a_long_value_is_cut_before_it_is_repeated() {
        let text = message(|v| v.text("keyId", Some(&"ä".repeat(5_000)), 1, 2_048)).unwrap();
        assert!(text.chars().count() < 300);
    }
}
