//! Reasons of conditions that one program writes and another acts on.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

/// Reason of `Accepted=False`: the object's id belongs to another object, whose manifest it was copied from (D2). The controllers do nothing for
/// it, and the gateway does not know it.
pub const ID_IN_USE: &str = "IdInUse";

/// Whether conditions say that their object was refused for [`ID_IN_USE`].
pub fn is_refused_copy(conditions: &[Condition]) -> bool {
    conditions.iter().any(|it| it.type_ == "Accepted" && it.status == "False" && it.reason == ID_IN_USE)
}
