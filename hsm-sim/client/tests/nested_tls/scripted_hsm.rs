//! An HSM of few words: nested TLS, one signed Hello, and every way to get these wrong.

use bytes::BytesMut;
use hsm_client::pki::{CertificateAuthority, ClientRole, Issued, PrivateKeyPem, sha256};
use hsm_client::{ClientIdentity, HsmEndpoint, TrustAnchor};
use hsm_protocol::frame::{put_response, take_frame};
use hsm_protocol::labels::{EXPORTER_LENGTH, HELLO_EXPORTER};
use hsm_protocol::message::{HelloReply, HelloRequest, HsmState};
use hsm_protocol::{Frame, ReturnCode, signing};
use prost::Message;
use rcgen::{KeyPair, PublicKeyData, SigningKey};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

const HSM_ID: &str = "hsm-aaaaaaaaaaa";
const ZONE: &str = "local-1a";
const TLS13_ONLY: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A customer CA and the key pair of the cluster it certifies.
pub(crate) struct Lineage {
    authority: Issued,
    cluster_key: KeyPair,
}

impl Lineage {
    pub(crate) fn new() -> Self {
        let authority = CertificateAuthority::generate_customer("cluster-test", SystemTime::now()).expect("generates");
        Self { authority, cluster_key: KeyPair::generate().expect("key") }
    }

    fn root(&self) -> CertificateAuthority {
        CertificateAuthority::load(&self.authority.certificate, &self.authority.key).expect("loads")
    }

    pub(crate) fn anchor(&self) -> TrustAnchor {
        TrustAnchor::parse(&self.authority.certificate).expect("parses")
    }

    pub(crate) fn client(&self) -> ClientIdentity {
        let issued = self.root().issue_client(ClientRole::Controllers, "test", SystemTime::now()).expect("issues");
        ClientIdentity::from_pem(&issued.certificate, &issued.key).expect("reads")
    }

    /// The cluster certificate, DER.
    pub(crate) fn cluster_certificate(&self) -> Vec<u8> {
        self.certify_with(self)
    }

    /// A certificate for this cluster's key, issued by `issuer`.
    pub(crate) fn certify_with(&self, issuer: &Self) -> Vec<u8> {
        let request = rcgen::CertificateParams::default().serialize_request(&self.cluster_key).expect("request");
        let pem = issuer.root().sign_csr(&request.pem().expect("PEM"), SystemTime::now()).expect("signs");
        CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM").to_vec()
    }

    /// Signs with the customer CA's key.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let key: &PrivateKeyPem = &self.authority.key;
        KeyPair::from_pem(key.expose()).expect("key").sign(message).expect("signs")
    }
}

/// How the HSM behaves.
#[derive(Default)]
pub(crate) struct Script {
    /// DER; empty = the lineage's own.
    pub(crate) cluster_certificate: Vec<u8>,
    pub(crate) other_inner_key: bool,
    pub(crate) sign_for_another_session: bool,
    pub(crate) sign_with_another_key: bool,
}

impl Script {
    pub(crate) fn honest() -> Self {
        Self::default()
    }

    pub(crate) fn for_lineage(lineage: &Lineage) -> Self {
        Self { cluster_certificate: lineage.cluster_certificate(), ..Self::default() }
    }
}

/// A listening HSM; serves until dropped.
pub(crate) struct ScriptedHsm {
    endpoint: HsmEndpoint,
    saw_a_command: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for ScriptedHsm {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ScriptedHsm {
    pub(crate) async fn start(lineage: &Lineage, script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has one");
        let host_key = KeyPair::generate().expect("key");
        let host = rcgen::CertificateParams::new(vec!["CloudHSM".into()]).expect("name");
        let host = host.self_signed(&host_key).expect("signs").der().clone();
        let identity = KeyPair::generate().expect("key");
        let endpoint = endpoint(address, &identity, &host);
        let saw_a_command = Arc::new(AtomicBool::new(false));
        let hsm = Hsm {
            outer: outer(lineage, certified(host, &host_key)),
            inner: inner(lineage, &script),
            identity,
            script,
            saw_a_command: saw_a_command.clone(),
        };
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that refuses us ends its own connection only.
                let _ = hsm.serve(stream).await;
            }
        });
        Self { endpoint, saw_a_command, task }
    }

    pub(crate) fn endpoint(&self) -> HsmEndpoint {
        self.endpoint.clone()
    }

    pub(crate) fn saw_a_command(&self) -> bool {
        self.saw_a_command.load(Ordering::SeqCst)
    }
}

fn endpoint(address: SocketAddr, identity: &KeyPair, host: &CertificateDer<'_>) -> HsmEndpoint {
    HsmEndpoint {
        hsm_id: HSM_ID.into(),
        availability_zone: ZONE.into(),
        address,
        identity_fingerprint: sha256(&identity.subject_public_key_info()),
        host_certificate_fingerprint: sha256(host),
    }
}

struct Hsm {
    outer: TlsAcceptor,
    inner: TlsAcceptor,
    identity: KeyPair,
    script: Script,
    saw_a_command: Arc<AtomicBool>,
}

impl Hsm {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let outer = self.outer.accept(stream).await?;
        let mut stream = self.inner.accept(outer).await?;
        let mut exporter = [0; EXPORTER_LENGTH];
        stream
            .get_ref()
            .1
            .export_keying_material(&mut exporter, HELLO_EXPORTER, None)
            .map_err(std::io::Error::other)?;
        let mut buffer = BytesMut::new();
        let request = loop {
            if let Some(frame) = take_frame(&mut buffer).map_err(std::io::Error::other)? {
                break frame;
            }
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        self.saw_a_command.store(true, Ordering::SeqCst);
        stream.write_all(&self.hello(&request, exporter)).await?;
        stream.flush().await?;
        // Until the client hangs up.
        while stream.read_buf(&mut buffer).await? > 0 {}
        Ok(())
    }

    fn hello(&self, request: &Frame, mut exporter: [u8; EXPORTER_LENGTH]) -> BytesMut {
        if self.script.sign_for_another_session {
            exporter[0] ^= 1;
        }
        let other = KeyPair::generate().expect("key");
        let signer = if self.script.sign_with_another_key { &other } else { &self.identity };
        let nonce = HelloRequest::decode(request.body.clone()).expect("is a Hello").client_nonce;
        let mut reply = HelloReply {
            hsm_id: HSM_ID.into(),
            cluster_id: "cluster-test".into(),
            availability_zone: ZONE.into(),
            incarnation: 1,
            identity_spki_der: self.identity.subject_public_key_info(),
            state: HsmState::Active as i32,
            wall_clock_unix_ms: 0,
            signature: vec![],
        };
        reply.signature = signer.sign(&signing::hello(&exporter, &nonce, &reply)).expect("signs");
        let mut bytes = BytesMut::new();
        let (command, id) = (request.header.command, request.header.request_id);
        put_response(&mut bytes, command, id, ReturnCode::Success, &reply).expect("fits");
        bytes
    }
}

/// Serves one certificate, whatever it is: rustls would refuse version 1 (dependencies 3.2).
#[derive(Debug)]
struct Unchecked(Arc<CertifiedKey>);

impl ResolvesServerCert for Unchecked {
    fn resolve(&self, _hello: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn certified(certificate: CertificateDer<'static>, key: &KeyPair) -> Arc<Unchecked> {
    let der = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS#8");
    let key = aws_lc_rs::sign::any_supported_type(&der).expect("supported");
    Arc::new(Unchecked(Arc::new(CertifiedKey::new(vec![certificate], key))))
}

fn outer(lineage: &Lineage, certificate: Arc<Unchecked>) -> TlsAcceptor {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(lineage.authority.certificate.as_bytes()).expect("PEM");
    roots.add(root).expect("an authority");
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(TLS13_ONLY)
        .expect("versions")
        .with_client_cert_verifier(clients.expect("verifier"))
        .with_cert_resolver(certificate);
    TlsAcceptor::from(Arc::new(config))
}

fn inner(lineage: &Lineage, script: &Script) -> TlsAcceptor {
    let own = || lineage.cluster_certificate();
    let der = if script.cluster_certificate.is_empty() { own() } else { script.cluster_certificate.clone() };
    let other = KeyPair::generate().expect("key");
    let key = if script.other_inner_key { &other } else { &lineage.cluster_key };
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(TLS13_ONLY)
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(certified(der.into(), key));
    TlsAcceptor::from(Arc::new(config))
}
