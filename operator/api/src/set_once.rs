//! The CEL rules that several kinds share: identity that is written once, names that fit a label, features not offered yet.

use kube::core::Rule;

/// `spec.<field>` may be set once; changing and removing it are refused (D2).
///
/// Belongs on the whole `spec`: Kubernetes skips a field's own transition rule when the field is removed.
pub(crate) fn set_once(field: &str) -> Rule {
    Rule::new(format!("!has(oldSelf.{field}) || (has(self.{field}) && self.{field} == oldSelf.{field})"))
        .message(format!("{field} is set once: it can be neither changed nor removed").as_str())
}

/// `spec.<field>` is decided at creation, present or absent, and never changes.
pub(crate) fn fixed_at_creation(field: &str) -> Rule {
    Rule::new(format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    ))
    .message(format!("{field} is decided when the object is created and cannot be changed").as_str())
}

/// The schema knows the setting, the product does not honour it yet: refuse it rather than ignore it.
///
/// `supported` is the CEL expression that must hold, `what` names the setting in the message.
pub(crate) fn not_yet(supported: &str, what: &str) -> Rule {
    Rule::new(supported).message(format!("{what} is not supported yet").as_str())
}

/// Names become label values and parts of other objects' names, so they must fit a label (63 characters).
pub(crate) fn name_fits_a_label() -> Rule {
    Rule::new("size(self.metadata.name) <= 63").message("metadata.name must have at most 63 characters")
}
