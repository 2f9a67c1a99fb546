//! hsm-initialization
