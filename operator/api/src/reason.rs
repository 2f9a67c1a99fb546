//! Reasons of conditions that one program writes and another acts on.

/// Reason of `Accepted=False`: the object's id belongs to another object, whose manifest it was copied from (D2). The controllers do nothing for
/// it, and the gateway does not know it.
pub const ID_IN_USE: &str = "IdInUse";
