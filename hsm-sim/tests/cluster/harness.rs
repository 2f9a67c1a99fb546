//! A cluster of three pods, taken through the operator's steps by the client's own calls.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, SystemTime};

use hsm_client::command::{NewKey, NewUser, PasswordChange, UserType};
use hsm_client::pki::{CertificateAuthority, Issued, Member, public_key_fingerprint};
use hsm_client::{
    ClientIdentity, ClientRole, ConnectError, HsmEndpoint, HsmError, KMS_USER, KeyId, OFFICER, OpId,
    ProvisioningSession, ReturnCode, Session, TrustAnchor,
};
use tempfile::TempDir;

use crate::pod::Pod;

pub(crate) const OFFICER_PASSWORD: &str = "Officer-password-1";
pub(crate) const KMS_PASSWORD: &str = "Kmspassword1";
pub(crate) const PRECO_PASSWORD: &str = "Preco-password";
const CLUSTER: &str = "cluster-aaaaaaaaaaaaaaaa";
pub(crate) const ZONES: [&str; 3] = ["local-1a", "local-1b", "local-1c"];
const HSM_IDS: [&str; 3] = ["hsm-aaaaaaaaaaa", "hsm-bbbbbbbbbbb", "hsm-ccccccccccc"];
const TIMEOUT: Duration = Duration::from_secs(10);

static NEXT_NET: AtomicU8 = AtomicU8::new(1);

/// The operator's view of a cluster in a temporary directory.
pub(crate) struct Cluster {
    pub(crate) pods: Vec<Pod>,
    pub(crate) members: Vec<Member>,
    pub(crate) operator: CertificateAuthority,
    pub(crate) customer: CertificateAuthority,
    roster_version: u64,
    _directory: TempDir,
}

impl Cluster {
    /// Three running pods with blank volumes.
    pub(crate) fn blank() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let now = SystemTime::now();
        let operator = load(&CertificateAuthority::generate_operator(CLUSTER, now).expect("operator CA"));
        let customer = load(&CertificateAuthority::generate_customer(CLUSTER, now).expect("customer CA"));
        // A loopback net per test and process, so that tests can run at the same time.
        let net = NEXT_NET.fetch_add(1, Ordering::SeqCst);
        let own = u8::try_from(std::process::id() % 250).expect("below 250") + 1;
        let mut pods = Vec::new();
        for number in 0..3 {
            let name = format!("{CLUSTER}-{number}");
            let mut pod = Pod::new(directory.path(), &name, [127, own, net, number + 11]);
            let certificate = operator.issue_pod(&name, now).expect("pod certificate");
            pod.write("pod.crt", certificate.certificate.as_bytes());
            pod.write("pod.key", certificate.key.expose().as_bytes());
            pod.write("operator-ca.crt", operator.certificate().as_bytes());
            pod.write("share", &[42; 32]);
            pod.start();
            pods.push(pod);
        }
        Self { pods, members: Vec::new(), operator, customer, roster_version: 0, _directory: directory }
    }

    /// Three ACTIVE HSMs with the officer and `kmsuser`.
    pub(crate) async fn active() -> Self {
        let mut cluster = Self::blank();
        for (number, hsm_id) in HSM_IDS.into_iter().enumerate() {
            cluster.assign(number, hsm_id).await;
        }
        cluster.send_roster().await;
        cluster.initialize(0).await.expect("initialises");
        cluster.activate(0).await;
        for number in 1..3 {
            cluster.provisioning(number).await.join().await.expect("joins");
        }
        cluster
    }

    pub(crate) async fn provisioning(&self, number: usize) -> ProvisioningSession {
        let issued = self.operator.issue_client(ClientRole::Provisioning, "test", SystemTime::now()).expect("issues");
        let identity = ClientIdentity::from_pem(&issued.certificate, &issued.key).expect("an identity");
        let pod = &self.pods[number];
        ProvisioningSession::connect(pod.peer, &pod.name, self.operator.certificate(), &identity, TIMEOUT)
            .await
            .expect("the provisioning port answers")
    }

    /// Assigns a volume; a new volume of the same pod replaces the member.
    pub(crate) async fn assign(&mut self, number: usize, hsm_id: &str) {
        let session = self.provisioning(number).await;
        let volume = session.hello().await.expect("says hello");
        let member = Member {
            hsm_id: hsm_id.to_owned(),
            availability_zone: ZONES[number].to_owned(),
            identity_fingerprint: volume.identity_fingerprint,
            peer_address: self.pods[number].peer.to_string(),
        };
        let statement = self.operator.sign_assignment(CLUSTER, &self.pods[number].name, &member).expect("signs");
        session.assign(&statement).await.expect("assigns");
        if self.members.len() > number {
            self.members[number] = member;
        } else {
            self.members.push(member);
        }
    }

    pub(crate) async fn send_roster(&mut self) {
        self.roster_version += 1;
        let statement = self.operator.sign_roster(CLUSTER, self.roster_version, &self.members).expect("signs");
        for number in 0..self.pods.len() {
            self.provisioning(number).await.set_roster(&statement).await.expect("takes the roster");
        }
    }

    pub(crate) async fn initialize(&self, number: usize) -> Result<(), HsmError> {
        let session = self.provisioning(number).await;
        let csr = session.csr().await?;
        let certificate = self.customer.sign_csr(&csr.csr, SystemTime::now()).expect("signs the CSR");
        session.initialize(&certificate, self.customer.certificate(), PRECO_PASSWORD).await
    }

    /// The PRECO's password change, then `kmsuser`.
    pub(crate) async fn activate(&self, number: usize) {
        let session = self.session(number, ClientRole::Controllers).await.expect("connects");
        session.login(OFFICER, PRECO_PASSWORD).await.expect("logs in");
        change(&session, OFFICER, OFFICER_PASSWORD, 1, 2).await.expect("activates");
        let user = NewUser {
            user: KMS_USER,
            user_type: UserType::Cu,
            password: KMS_PASSWORD,
            epoch: 1,
            op_id: [1; 16],
            fence: 0,
        };
        session.create_user(user).await.expect("creates kmsuser");
    }

    pub(crate) async fn endpoint(&self, number: usize) -> HsmEndpoint {
        let volume = self.provisioning(number).await.hello().await.expect("says hello");
        HsmEndpoint {
            hsm_id: self.members[number].hsm_id.clone(),
            availability_zone: ZONES[number].to_owned(),
            address: self.pods[number].client,
            identity_fingerprint: volume.identity_fingerprint,
            host_certificate_fingerprint: volume.host_certificate_fingerprint,
        }
    }

    pub(crate) fn client(&self, role: ClientRole) -> Issued {
        self.customer.issue_client(role, "test", SystemTime::now()).expect("issues")
    }

    /// A session with a fresh certificate of this role.
    pub(crate) async fn session(&self, number: usize, role: ClientRole) -> Result<Session, ConnectError> {
        self.session_as(number, &self.client(role)).await
    }

    pub(crate) async fn session_as(&self, number: usize, client: &Issued) -> Result<Session, ConnectError> {
        let identity = ClientIdentity::from_pem(&client.certificate, &client.key).expect("an identity");
        let anchor = TrustAnchor::parse(self.customer.certificate()).expect("an anchor");
        Session::connect(&self.endpoint(number).await, &identity, &anchor, TIMEOUT).await
    }

    /// A session logged in as the crypto user.
    pub(crate) async fn kms_user(&self, number: usize) -> Session {
        let session = self.session(number, ClientRole::Controllers).await.expect("connects");
        session.login(KMS_USER, KMS_PASSWORD).await.expect("logs in");
        session
    }

    /// A session logged in as the officer.
    pub(crate) async fn officer(&self, number: usize) -> Session {
        let session = self.session(number, ClientRole::Controllers).await.expect("connects");
        session.login(OFFICER, OFFICER_PASSWORD).await.expect("logs in");
        session
    }
}

fn load(issued: &Issued) -> CertificateAuthority {
    CertificateAuthority::load(&issued.certificate, &issued.key).expect("an authority")
}

/// SHA-256 of a client certificate's public key.
pub(crate) fn key_of(client: &Issued) -> [u8; 32] {
    public_key_fingerprint(&client.certificate).expect("a certificate")
}

pub(crate) async fn change(
    session: &Session,
    user: &str,
    new_password: &str,
    expected_epoch: u64,
    new_epoch: u64,
) -> Result<u64, HsmError> {
    let op_id = [u8::try_from(new_epoch).expect("small"); 16];
    session.change_password(PasswordChange { user, new_password, expected_epoch, new_epoch, op_id, fence: 0 }).await
}

/// The return code of a refusal; `None` for success and for a broken connection.
#[expect(clippy::needless_pass_by_value, reason = "called with the outcome of an await")]
pub(crate) fn code<T>(outcome: Result<T, HsmError>) -> Option<ReturnCode> {
    match outcome {
        Err(HsmError::Refused(code)) => Some(code),
        _ => None,
    }
}

/// A request for the key with this number.
pub(crate) fn new_key(number: u32) -> NewKey {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    NewKey {
        key_id: KeyId(id),
        op_id: op_id(number),
        label: format!("arn:aws:kms:local-1:000000000000:key/{number}"),
        namespace: "team".into(),
        name: format!("key-{number}"),
        object_uid: format!("uid-{number}"),
        fence: 0,
    }
}

fn op_id(number: u32) -> OpId {
    let mut id = [7; 16];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id
}
