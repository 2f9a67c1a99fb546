//! Size limits that both sides check before they allocate or work.

/// Longest frame body, bytes.
pub const MAX_BODY: usize = 1 << 20;
/// Longest plaintext of one Encrypt, bytes (AWS KMS Encrypt).
pub const MAX_PLAINTEXT: usize = 4096;
/// Most random bytes of one GenerateRandom and longest data key, bytes (AWS KMS GenerateRandom, GenerateDataKey).
pub const MAX_RANDOM: usize = 1024;
/// Longest canonical encryption context, bytes. The gateway allows 8,192 bytes of JSON; the canonical form adds lengths.
pub const MAX_ENCRYPTION_CONTEXT: usize = 32 * 1024;
/// Longest user name, characters (HSM-30).
pub const MAX_USER_NAME: usize = 31;
/// Shortest password, characters (HSM-31).
pub const MIN_PASSWORD: usize = 7;
/// Longest password, characters (HSM-31).
pub const MAX_PASSWORD: usize = 32;
/// Longest label, namespace, name, uid, store id or claim holder, bytes.
pub const MAX_TEXT: usize = 2048;
/// Longest certificate in PEM, characters (spec 1.1: `InitializeCluster` limits each PEM).
pub const MAX_CERTIFICATE_PEM: usize = 5000;
/// Most delegates of one generation.
pub const MAX_DELEGATES: usize = 64;
/// Most keys in one PullKeys.
pub const MAX_PULL: usize = 256;
/// Most records in one FindKeys or KeyDigests.
pub const MAX_PAGE: u32 = 1000;
/// Most members of a roster (a cluster has at most ten subnets, spec 1.3).
pub const MAX_ROSTER: usize = 28;
/// Length of an operation id, bytes.
pub const OP_ID: usize = 16;
/// Length of a key fingerprint and of every SHA-256 on the wire, bytes.
pub const FINGERPRINT: usize = 32;
/// Shortest and longest client nonce in Hello, bytes.
pub const CLIENT_NONCE: std::ops::RangeInclusive<usize> = 16..=64;
