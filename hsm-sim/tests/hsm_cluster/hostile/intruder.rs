//! A client that speaks both TLS layers as it likes: any certificate or none, any protocol name, no checks of its own.

use crate::harness::Cluster;
use hsm_client::pki::ClientRole;
use hsm_initialization::SecretName;
use hsm_initialization::custody::entry;
use hsm_protocol::frame::{put_request, take_frame};
use hsm_protocol::labels::{EXPORTER_LENGTH, OUTER_EXPORTER};
use hsm_protocol::message::HelloRequest;
use hsm_protocol::{Request, ReturnCode};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest time in which an HSM must have answered or hung up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Certificates (DER) and the key that the handshake is signed with, whether they belong together or not.
#[derive(Clone, Debug)]
pub(crate) struct Papers(Arc<CertifiedKey>);

impl Papers {
    /// A chain and any key.
    pub(crate) fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        let der = PrivateKeyDer::try_from(key.serialize_der()).expect("PKCS#8");
        let key = aws_lc_rs::sign::any_supported_type(&der).expect("supported");
        Self(Arc::new(CertifiedKey::new(chain, key)))
    }
}

/// The DER of a PEM certificate.
pub(crate) fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM")
}

/// Puts another organizational unit, which states the role.
pub(crate) fn unit(parameters: &mut CertificateParams, name: &str) {
    parameters.distinguished_name.remove(DnType::OrganizationalUnitName);
    parameters.distinguished_name.push(DnType::OrganizationalUnitName, name);
}

/// An authority that signs whatever it is given.
pub(crate) struct Forge {
    /// PEM.
    pub(crate) certificate: String,
    pub(crate) key: KeyPair,
}

impl Forge {
    /// The cluster's customer CA.
    pub(crate) fn customer(cluster: &Cluster) -> Self {
        Self::kept(cluster, SecretName::CustomerAuthority, entry::CUSTOMER_CERTIFICATE, entry::CUSTOMER_KEY)
    }

    /// The cluster's operator CA.
    pub(crate) fn operator(cluster: &Cluster) -> Self {
        Self::kept(cluster, SecretName::OperatorAuthority, entry::AUTHORITY_CERTIFICATE, entry::AUTHORITY_KEY)
    }

    /// The certificate and key of the first pod.
    pub(crate) fn pod(cluster: &Cluster) -> Self {
        let pod = &cluster.pods[0].files.pod_name;
        Self::kept(cluster, SecretName::Pods, &format!("{pod}.crt"), &format!("{pod}.key"))
    }

    fn kept(cluster: &Cluster, secret: SecretName, certificate: &str, key: &str) -> Self {
        let certificate = cluster.custody.text(secret, certificate);
        Self { certificate, key: KeyPair::from_pem(&cluster.custody.text(secret, key)).expect("a key") }
    }

    /// Its own certificate, as a client's.
    pub(crate) fn itself(&self) -> Papers {
        Papers::new(vec![der(&self.certificate)], &self.key)
    }

    /// The outer layer's certificate of a client in this role.
    pub(crate) fn role(&self, role: ClientRole) -> Papers {
        self.client(|parameters| unit(parameters, role.organizational_unit()))
    }

    /// A client certificate that is good but for what `spoil` does to it.
    pub(crate) fn client(&self, spoil: impl FnOnce(&mut CertificateParams)) -> Papers {
        let (certificate, key) = self.certify(spoil);
        Papers::new(vec![certificate], &key)
    }

    /// The same, in its parts.
    pub(crate) fn certify(&self, spoil: impl FnOnce(&mut CertificateParams)) -> (CertificateDer<'static>, KeyPair) {
        let key = KeyPair::generate().expect("key");
        let mut parameters = good();
        spoil(&mut parameters);
        let issuer = Issuer::from_ca_cert_pem(&self.certificate, &self.key).expect("an authority");
        (parameters.signed_by(&key, &issuer).expect("signs").der().clone(), key)
    }
}

/// What a controllers' certificate says.
pub(crate) fn good() -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "test");
    let unit = ClientRole::Controllers.organizational_unit();
    parameters.distinguished_name.push(DnType::OrganizationalUnitName, unit);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

/// The client's side of one TLS layer.
pub(crate) fn layer(papers: Option<&Papers>, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone(provider)));
    let mut config = match papers {
        Some(papers) => builder.with_client_cert_resolver(Arc::new(papers.clone())),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Wraps `stream` into one more layer.
pub(crate) async fn wrap<S>(stream: S, config: Arc<ClientConfig>) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from("CloudHSM").expect("a name");
    within(TlsConnector::from(config).connect(name, stream)).await
}

/// Both layers, as a client of port 2223 makes them.
pub(crate) async fn nested(
    address: SocketAddr,
    papers: Option<&Papers>,
) -> io::Result<Raw<TlsStream<TlsStream<TcpStream>>>> {
    let outer = wrap(TcpStream::connect(address).await?, layer(papers, &[])).await?;
    let exporter = outer.get_ref().1.export_keying_material([0; EXPORTER_LENGTH], OUTER_EXPORTER, None);
    let inner = wrap(outer, layer(None, &[])).await?;
    Ok(Raw { stream: inner, outer_exporter: exporter.map_err(io::Error::other)?, buffer: Default::default(), sent: 0 })
}

/// Frames over any stream, in any order.
pub(crate) struct Raw<S> {
    pub(crate) stream: S,
    /// Of the outer layer, for Login.
    pub(crate) outer_exporter: [u8; EXPORTER_LENGTH],
    buffer: bytes::BytesMut,
    sent: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Frames over a stream that is not nested.
    pub(crate) fn over(stream: S) -> Self {
        Self { stream, outer_exporter: [0; EXPORTER_LENGTH], buffer: Default::default(), sent: 0 }
    }

    /// Sends a request and returns the code of its answer; an error when the HSM hangs up.
    pub(crate) async fn call<R: Request>(&mut self, request: &R) -> io::Result<ReturnCode> {
        self.send(R::COMMAND, request).await
    }

    /// The same for a body that need not be the command's.
    pub(crate) async fn send(
        &mut self,
        command: hsm_protocol::Command,
        body: &impl prost::Message,
    ) -> io::Result<ReturnCode> {
        self.sent += 1;
        let mut bytes = bytes::BytesMut::new();
        put_request(&mut bytes, command, self.sent, 0, body).map_err(io::Error::other)?;
        self.write(&bytes).await?;
        self.answer().await
    }

    /// Sends bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        within(async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        })
        .await
    }

    /// The code of the next answer.
    pub(crate) async fn answer(&mut self) -> io::Result<ReturnCode> {
        loop {
            if let Some(frame) = take_frame(&mut self.buffer).map_err(io::Error::other)? {
                return ReturnCode::from_u32(frame.header.word).ok_or_else(|| io::Error::other("no code"));
            }
            if within(self.stream.read_buf(&mut self.buffer)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The first command of a client.
    pub(crate) async fn hello(&mut self) -> io::Result<ReturnCode> {
        self.call(&HelloRequest { client_nonce: vec![7; 32] }).await
    }
}

/// Bounds in time what an HSM may leave open; running into it fails the test.
pub(crate) async fn within<T>(future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, future).await.expect("the HSM neither answers nor hangs up")
}

impl ResolvesClientCert for Papers {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// An intruder does not care whom it talks to.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
