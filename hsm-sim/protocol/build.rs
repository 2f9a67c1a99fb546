//! Generates the message types from `proto/*.proto`, without a `protoc` binary.
//!
//! Security: messages named in `SECRET` carry passwords, plaintext or key material. They get no `Debug`
//! and wipe themselves when dropped.

const FILES: [&str; 6] = [
    "proto/session.proto",
    "proto/users.proto",
    "proto/control.proto",
    "proto/keys.proto",
    "proto/provisioning.proto",
    "proto/peer.proto",
];

const SECRET: [&str; 12] = [
    "LoginRequest",
    "CreateUserRequest",
    "ChangePasswordRequest",
    "EncryptRequest",
    "DecryptReply",
    "GenerateDataKeyReply",
    "GenerateRandomReply",
    "InitializeRequest",
    "ClusterSecrets",
    "MaskedKeyContent",
    "UserSnapshotEntry",
    "UserSnapshot",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let mut config = prost_build::Config::new();
    let secret = SECRET.map(|name| format!(".keystores.hsm.v1.{name}"));
    config.skip_debug(&secret);
    for path in &secret {
        config.type_attribute(path, "#[derive(::zeroize::Zeroize, ::zeroize::ZeroizeOnDrop)]");
    }
    config.compile_fds(protox::compile(FILES, ["proto"])?)?;
    Ok(())
}
