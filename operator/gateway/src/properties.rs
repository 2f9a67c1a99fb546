//! What holds for any bytes whatever: called by the fuzz targets in `e2e/fuzz`, and by tests that replay what they found.

pub use crate::router::properties::{Endpoint, kms_json_seeds};
pub use crate::sigv4::properties::{sigv4_canonical, sigv4_canonical_seeds, sigv4_parse, sigv4_parse_seeds};
