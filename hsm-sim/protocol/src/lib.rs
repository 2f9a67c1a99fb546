//! hsm-protocol
