//! The provisioning listener (port 2224): from an empty volume to a member of the cluster (D7, D18).

use crate::error::HsmError;
use crate::pki::{SignedStatement, certificate_pem, sha256};
use crate::session::{ConnectError, Connection};
use crate::tls::{ClientIdentity, provisioning_config};
use hsm_protocol::message as m;
use rustls::pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub use hsm_protocol::message::HsmState;

/// Commands that write a few records.
const DEADLINE: Duration = Duration::from_secs(30);
/// A join copies every key of the cluster; calling it again continues.
const JOIN_DEADLINE: Duration = Duration::from_secs(600);

/// What a volume says about itself; the pod's certificate vouches for the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeIdentity {
    /// Life of the volume.
    pub state: HsmState,
    /// SHA-256 of the identity key's SubjectPublicKeyInfo.
    pub identity_fingerprint: [u8; 32],
    /// SHA-256 of the self-signed host certificate that port 2223 presents.
    pub host_certificate_fingerprint: [u8; 32],
    /// `hsm-…`, once assigned.
    pub hsm_id: Option<String>,
    /// Cluster, once assigned.
    pub cluster_id: Option<String>,
    /// Zone, once assigned.
    pub availability_zone: Option<String>,
    /// Counts starts of the process on this volume.
    pub incarnation: u64,
    /// The cluster certificate, PEM, once initialised or joined.
    pub cluster_certificate: Option<String>,
    /// Version of the roster it holds; 0 = none.
    pub roster_version: u64,
    /// SHA-256 of the encoded roster it holds; empty = none.
    pub roster_digest: Vec<u8>,
    /// SHA-256 of the certificate that the provisioning listener presents; empty = a version that cannot renew it.
    pub pod_certificate_fingerprint: Vec<u8>,
}

/// The cluster's certificate request and the certificates that vouch for it (spec 1.3, step 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterCsr {
    /// The request, PEM.
    pub csr: String,
    /// Over the request's public key, signed by the identity key, PEM.
    pub hsm_certificate: String,
    /// Of the identity key, PEM.
    pub hardware_certificate: String,
}

/// A mutually authenticated connection to one pod's provisioning listener. Clones share it.
#[derive(Clone)]
pub struct ProvisioningSession {
    connection: Arc<Connection>,
}

impl ProvisioningSession {
    /// Dials `address`; the pod must present a certificate of `operator_ca` (PEM) for `pod_name`. Each phase may take
    /// `timeout`.
    ///
    /// # Errors
    /// [`ConnectError::Tcp`], [`ConnectError::OuterTls`] or [`ConnectError::Setup`].
    pub async fn connect(
        address: SocketAddr,
        pod_name: &str,
        operator_ca: &str,
        identity: &ClientIdentity,
        timeout: Duration,
    ) -> Result<Self, ConnectError> {
        let config = provisioning_config(identity, operator_ca)?;
        let name = ServerName::try_from(pod_name.to_owned())
            .map_err(|source| ConnectError::OuterTls(io::Error::other(source)))?;
        let tcp = within(timeout, TcpStream::connect(address)).await.map_err(ConnectError::Tcp)?;
        tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
        let stream = within(timeout, TlsConnector::from(Arc::new(config)).connect(name, tcp))
            .await
            .map_err(ConnectError::OuterTls)?;
        Ok(Self { connection: Arc::new(Connection::start(stream)) })
    }

    /// Asks the volume who it is.
    ///
    /// # Errors
    /// [`HsmError::Disconnected`] also when the pod refused our certificate.
    pub async fn hello(&self) -> Result<VolumeIdentity, HsmError> {
        let reply = self.connection.call(&m::ProvisioningHelloRequest {}, DEADLINE).await?;
        let present = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let certificate = &reply.cluster_certificate_der;
        Ok(VolumeIdentity {
            state: reply.state(),
            identity_fingerprint: sha256(&reply.identity_spki_der),
            host_certificate_fingerprint: sha256(&reply.host_certificate_der),
            hsm_id: present(&reply.hsm_id),
            cluster_id: present(&reply.cluster_id),
            availability_zone: present(&reply.availability_zone),
            incarnation: reply.incarnation,
            cluster_certificate: (!certificate.is_empty()).then(|| certificate_pem(certificate)),
            roster_version: reply.roster_version,
            roster_digest: reply.roster_sha256,
            pod_certificate_fingerprint: reply.pod_certificate_sha256,
        })
    }

    /// Tells a blank volume which HSM it is. The same assignment twice is success.
    ///
    /// # Errors
    /// `WrongState` when it was assigned otherwise before, `InvalidArgument` when the signature is wrong.
    pub async fn assign(&self, assignment: &SignedStatement) -> Result<(), HsmError> {
        let request = m::AssignRequest { assignment: assignment.body.clone(), signature: assignment.signature.clone() };
        self.connection.call(&request, DEADLINE).await.map(drop)
    }

    /// Tells the HSM who its peers are. Versions only rise.
    ///
    /// # Errors
    /// `InvalidArgument` when the signature is wrong or the version is older than the one it has.
    pub async fn set_roster(&self, roster: &SignedStatement) -> Result<(), HsmError> {
        let request = m::SetRosterRequest { roster: roster.body.clone(), signature: roster.signature.clone() };
        self.connection.call(&request, DEADLINE).await.map(drop)
    }

    /// Reads the cluster's certificate request; only before initialisation.
    ///
    /// # Errors
    /// `WrongState` otherwise.
    pub async fn csr(&self) -> Result<ClusterCsr, HsmError> {
        let reply = self.connection.call(&m::CsrRequest {}, DEADLINE).await?;
        Ok(ClusterCsr {
            csr: reply.csr_pem,
            hsm_certificate: reply.hsm_certificate_pem,
            hardware_certificate: reply.hardware_certificate_pem,
        })
    }

    /// Initialises the cluster on this HSM, once for ever (INV-08). The same certificate twice is success.
    ///
    /// # Errors
    /// `WrongState`, or `InvalidArgument` when the certificate does not belong to the request or the trust anchor.
    pub async fn initialize(
        &self,
        cluster_certificate: &str,
        trust_anchor: &str,
        preco_password: &str,
    ) -> Result<(), HsmError> {
        let request = m::InitializeRequest {
            signed_certificate_pem: cluster_certificate.to_owned(),
            trust_anchor_pem: trust_anchor.to_owned(),
            preco_password: preco_password.to_owned(),
        };
        self.connection.call(&request, DEADLINE).await.map(drop)
    }

    /// Makes this HSM a member by pulling everything from its peers; calling it again continues (P7). Returns the
    /// state it reached.
    ///
    /// # Errors
    /// `WrongState` without assignment or roster; `NotActive` when no peer could be reached.
    pub async fn join(&self) -> Result<HsmState, HsmError> {
        self.connection.call(&m::JoinRequest {}, JOIN_DEADLINE).await.map(|reply| reply.state())
    }

    /// Gives the pod a renewed certificate (PEM) for the key that it has. It is presented from the next handshake on;
    /// open sessions go on. The same certificate twice is success.
    ///
    /// # Errors
    /// `InvalidArgument` when it is not one of the operator CA for this pod and its key.
    pub async fn renew_pod_certificate(&self, certificate: &str) -> Result<(), HsmError> {
        let request = m::RenewPodCertificateRequest { certificate_pem: certificate.to_owned() };
        self.connection.call(&request, DEADLINE).await.map(drop)
    }
}

async fn within<T>(timeout: Duration, phase: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(timeout, phase).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
