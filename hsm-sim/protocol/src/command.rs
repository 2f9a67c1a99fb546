//! The closed list of commands.

/// Declares the enum, its numbers and its names in one table, so that none can be forgotten.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $number:literal $label:literal;)+) => {
        /// One command. The number is on the wire and never reused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Command { $($(#[$doc])* $name = $number,)+ }

        impl Command {
            /// Every command.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The command with this number; `None` if there is none.
            #[must_use]
            pub fn from_u16(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }

            /// Snake-case name: log field and metric label.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }
        }
    };
}

commands! {
    /// Proves which HSM this is; first command of a session.
    Hello = 0x0101 "hello";
    /// State and counters.
    HsmInfo = 0x0102 "hsm_info";
    /// Logs a user in on this session.
    Login = 0x0201 "login";
    /// Logs out.
    Logout = 0x0202 "logout";
    /// Epoch, failures and lock of one user, without a login.
    UserInfo = 0x0203 "user_info";
    /// Every user of this HSM.
    ListUsers = 0x0204 "list_users";
    /// CO: creates a CO or CU.
    CreateUser = 0x0205 "create_user";
    /// CO: deletes a user.
    DeleteUser = 0x0206 "delete_user";
    /// Compare-and-set of a password (P1).
    ChangePassword = 0x0207 "change_password";
    /// Takes the next fence (P5).
    AcquireFence = 0x0301 "acquire_fence";
    /// Claims the cluster for one store (INV-44).
    ClaimCluster = 0x0302 "claim_cluster";
    /// Gives the claim back.
    ReleaseClaim = 0x0303 "release_claim";
    /// CU: lets gateway certificates use its keys (D12).
    RegisterDelegates = 0x0304 "register_delegates";
    /// Ends a generation of delegates, durably.
    DropGeneration = 0x0305 "drop_generation";
    /// Gateway: binds this session to a live generation.
    OpenDelegation = 0x0306 "open_delegation";
    /// CU: makes an AES-256 key, once per key id (P2).
    GenerateKey = 0x0401 "generate_key";
    /// CU: the key sealed for another HSM of the cluster.
    ExtractMaskedKey = 0x0402 "extract_masked_key";
    /// CU: takes in such a key.
    InsertMaskedKey = 0x0403 "insert_masked_key";
    /// One key's record, never its material.
    ReadKey = 0x0404 "read_key";
    /// Records by namespace and name, or page by page.
    FindKeys = 0x0405 "find_keys";
    /// CU: enables or disables a key (INV-49).
    SetKeyState = 0x0406 "set_key_state";
    /// Encrypts up to 4096 bytes (D9).
    Encrypt = 0x0501 "encrypt";
    /// Decrypts a ciphertext blob.
    Decrypt = 0x0502 "decrypt";
    /// Random data key, encrypted and optionally in the clear.
    GenerateDataKey = 0x0503 "generate_data_key";
    /// Random bytes.
    GenerateRandom = 0x0504 "generate_random";
    /// Operator: identity and state of the volume.
    ProvisioningHello = 0x0601 "provisioning_hello";
    /// Operator: signed assignment to cluster, HSM id and zone.
    Assign = 0x0602 "assign";
    /// Operator: signed list of peers.
    SetRoster = 0x0603 "set_roster";
    /// Operator: the cluster's certificate signing request.
    Csr = 0x0604 "csr";
    /// Operator: installs the signed cluster certificate, once.
    Initialize = 0x0605 "initialize";
    /// Operator: become a member by pulling from a peer.
    Join = 0x0606 "join";
    /// Operator: a renewed certificate for the key of this pod.
    RenewPodCertificate = 0x0607 "renew_pod_certificate";
    /// Peer: who is there.
    PeerHello = 0x0701 "peer_hello";
    /// Peer: cluster key and masking key, wrapped to the joiner.
    ClusterSecrets = 0x0702 "cluster_secrets";
    /// Peer: users and control records.
    SnapshotUsers = 0x0703 "snapshot_users";
    /// Peer: key ids and fingerprints, page by page.
    KeyDigests = 0x0704 "key_digests";
    /// Peer: masked keys.
    PullKeys = 0x0705 "pull_keys";
    /// Peer: highest store sequence seen (INV-59).
    Watermark = 0x0706 "watermark";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_number_maps_to_at_most_one_command_and_back() {
        let known = (0..=u16::MAX).filter_map(|n| Command::from_u16(n).map(|c| (n, c)));
        let mut count = 0;
        for (number, command) in known {
            assert_eq!(command as u16, number);
            count += 1;
        }
        assert_eq!(count, Command::ALL.len());
    }

    #[test]
    fn names_are_distinct() {
        let names: HashSet<_> = Command::ALL.iter().map(|command| command.name()).collect();
        assert_eq!(names.len(), Command::ALL.len());
    }
}
