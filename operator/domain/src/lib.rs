//! operator-domain
