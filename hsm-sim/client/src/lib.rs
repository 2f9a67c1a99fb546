//! hsm-client
