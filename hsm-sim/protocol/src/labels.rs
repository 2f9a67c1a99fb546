//! Names agreed between both sides: TLS exporter labels, ALPN protocols, fixed user names.

/// Exporter label on the inner TLS session whose output the HSM signs in Hello (INV-01, T-12).
pub const HELLO_EXPORTER: &[u8] = b"EXPERIMENTAL keystores hello";
/// Exporter label on the outer TLS session whose output a Login carries: a login relayed by someone who only
/// terminates the outer layer does not match.
pub const OUTER_EXPORTER: &[u8] = b"EXPERIMENTAL keystores outer";
/// Length of every exporter output, bytes.
pub const EXPORTER_LENGTH: usize = 32;

/// ALPN on port 2224 for the operator's provisioning commands.
pub const ALPN_PROVISIONING: &[u8] = b"keystores-provisioning/1";
/// ALPN on port 2224 between HSMs.
pub const ALPN_PEER: &[u8] = b"keystores-peer/1";

/// Name that the self-signed host certificate of the outer layer carries (HSM-10).
pub const HOST_NAME: &str = "CloudHSM";
/// The pre-crypto officer, and first crypto officer after activation (HSM-3).
pub const OFFICER: &str = "admin";
/// The crypto user that a custom key store logs in as (spec 2.10).
pub const KMS_USER: &str = "kmsuser";

/// TCP port of the client listener.
pub const CLIENT_PORT: u16 = 2223;
/// TCP port of the provisioning and peer listener.
pub const PEER_PORT: u16 = 2224;
