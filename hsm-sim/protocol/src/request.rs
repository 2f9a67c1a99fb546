//! Which message belongs to which command, and which reply answers it.

use crate::command::Command;
use crate::message as m;

/// A message that is the body of a request.
pub trait Request: prost::Message + Default {
    /// The command whose body this is.
    const COMMAND: Command;
    /// Body of a successful response.
    type Reply: prost::Message + Default;
}

macro_rules! requests {
    ($($command:ident: $request:ident => $reply:ident;)+) => {
        $(impl Request for m::$request {
            const COMMAND: Command = Command::$command;
            type Reply = m::$reply;
        })+

        /// `body` read as the request and as the reply of `command`, and printed again; nothing where it is neither.
        #[cfg(any(test, fuzzing))]
        pub(crate) fn reprinted(command: Command, body: &[u8]) -> [Option<Vec<u8>>; 2] {
            fn print<M: prost::Message + Default>(body: &[u8]) -> Option<Vec<u8>> {
                M::decode(body).ok().map(|message| message.encode_to_vec())
            }
            match command { $(Command::$command => [print::<m::$request>(body), print::<m::$reply>(body)],)+ }
        }

        #[cfg(test)]
        const PAIRED: &[Command] = &[$(Command::$command,)+];
    };
}

requests! {
    Hello: HelloRequest => HelloReply;
    HsmInfo: HsmInfoRequest => HsmInfoReply;
    Login: LoginRequest => LoginReply;
    Logout: LogoutRequest => LogoutReply;
    UserInfo: UserInfoRequest => UserInfoReply;
    ListUsers: ListUsersRequest => ListUsersReply;
    CreateUser: CreateUserRequest => CreateUserReply;
    DeleteUser: DeleteUserRequest => DeleteUserReply;
    ChangePassword: ChangePasswordRequest => ChangePasswordReply;
    AcquireFence: AcquireFenceRequest => AcquireFenceReply;
    ClaimCluster: ClaimClusterRequest => ClaimClusterReply;
    ReleaseClaim: ReleaseClaimRequest => ReleaseClaimReply;
    RegisterDelegates: RegisterDelegatesRequest => RegisterDelegatesReply;
    DropGeneration: DropGenerationRequest => DropGenerationReply;
    OpenDelegation: OpenDelegationRequest => OpenDelegationReply;
    GenerateKey: GenerateKeyRequest => GenerateKeyReply;
    ExtractMaskedKey: ExtractMaskedKeyRequest => ExtractMaskedKeyReply;
    InsertMaskedKey: InsertMaskedKeyRequest => InsertMaskedKeyReply;
    ReadKey: ReadKeyRequest => ReadKeyReply;
    FindKeys: FindKeysRequest => FindKeysReply;
    SetKeyState: SetKeyStateRequest => SetKeyStateReply;
    Encrypt: EncryptRequest => EncryptReply;
    Decrypt: DecryptRequest => DecryptReply;
    GenerateDataKey: GenerateDataKeyRequest => GenerateDataKeyReply;
    GenerateRandom: GenerateRandomRequest => GenerateRandomReply;
    ProvisioningHello: ProvisioningHelloRequest => ProvisioningHelloReply;
    Assign: AssignRequest => AssignReply;
    SetRoster: SetRosterRequest => SetRosterReply;
    Csr: CsrRequest => CsrReply;
    Initialize: InitializeRequest => InitializeReply;
    Join: JoinRequest => JoinReply;
    RenewPodCertificate: RenewPodCertificateRequest => RenewPodCertificateReply;
    PeerHello: PeerHelloRequest => PeerHelloReply;
    ClusterSecrets: ClusterSecretsRequest => ClusterSecretsReply;
    SnapshotUsers: SnapshotUsersRequest => SnapshotUsersReply;
    KeyDigests: KeyDigestsRequest => KeyDigestsReply;
    PullKeys: PullKeysRequest => PullKeysReply;
    Watermark: WatermarkRequest => WatermarkReply;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_exactly_one_request_message() {
        assert_eq!(PAIRED, Command::ALL);
    }
}
