//! Inner layer: the HSM presents the cluster certificate, which the trust anchor must have issued (HSM-13).

use super::issued_by_anchor::verify_issued;
use super::{ClusterCertificateError, TlsSetupError, TrustAnchor, client_config, only_tls13, provider};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// The inner layer's configuration: no client certificate (HSM-14), the server must hold the cluster certificate.
pub(crate) fn inner_config(anchor: &TrustAnchor) -> Result<ClientConfig, TlsSetupError> {
    let algorithms = provider().signature_verification_algorithms;
    client_config(Arc::new(ClusterVerifier { anchor: anchor.clone(), algorithms }), None)
}

#[derive(Debug)]
struct ClusterVerifier {
    anchor: TrustAnchor,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ClusterVerifier {
    /// Names are not compared: one cluster certificate is held by every HSM of the lineage; which HSM this is, the
    /// signed Hello proves.
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_issued(end_entity, &self.anchor, now).map_err(|source| match source {
            ClusterCertificateError::Malformed => CertificateError::BadEncoding,
            ClusterCertificateError::NotIssuedByAnchor => CertificateError::UnknownIssuer,
            ClusterCertificateError::NotValidNow => CertificateError::Expired,
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    /// By the bare public key: `verify_tls13_signature` would first parse the certificate with webpki, which refuses
    /// version 1.
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let (_, parsed) = x509_parser::parse_x509_certificate(cert).map_err(|_| CertificateError::BadEncoding)?;
        let key = SubjectPublicKeyInfoDer::from(parsed.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
