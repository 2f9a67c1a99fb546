//! The pod's certificate on the provisioning listener, replaceable while serving: new handshakes see a renewed one, open sessions go on.
//!
//! The key never changes while the process runs: a renewal brings a public certificate for it. It is not stored here, because the Secret
//! that the pod mounts holds the renewed one too, and a file below a `subPath` is not refreshed under a running container.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SigningKey};
use x509_parser::extensions::GeneralName;

use super::certificate::{from_pem, parse, sha256, signed_by, spki_der};
use super::{TlsError, provider};

/// Why a renewed certificate is not taken over; the present one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// It cannot be read.
    #[error("it is not PEM of a certificate")]
    Malformed,
    /// Another authority signed it.
    #[error("it was not issued by the operator CA of this cluster")]
    Issuer,
    /// It is for another pod.
    #[error("it does not name this pod")]
    Name,
    /// It is for another key.
    #[error("it is not for the key of this pod")]
    Key,
}

/// The certificate that is presented now, and the key it must be for. Secret inside: no public `Debug` of it.
pub(crate) struct PodCertificate {
    current: ArcSwap<CertifiedKey>,
    key: Arc<dyn SigningKey>,
    operator_ca: CertificateDer<'static>,
}

impl std::fmt::Debug for PodCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PodCertificate")
    }
}

impl ResolvesServerCert for PodCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl PodCertificate {
    /// The certificate and key that the pod was started with.
    ///
    /// # Errors
    /// [`TlsError`] if one of them cannot be used, or they do not belong together.
    pub(crate) fn new(chain: &[u8], key: &[u8], operator_ca: CertificateDer<'static>) -> Result<Self, TlsError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
        let chain = chain.map_err(|_| TlsError::Malformed("the pod certificate"))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Malformed("the pod key"))?;
        let certified = CertifiedKey::from_der(chain, key, &provider())?;
        Ok(Self { key: Arc::clone(&certified.key), current: ArcSwap::from_pointee(certified), operator_ca })
    }

    /// Presents `pem` from the next handshake on.
    ///
    /// # Errors
    /// [`Unfit`] if it is not a certificate of the operator CA for this pod and its key.
    pub(crate) fn renew(&self, pem: &[u8], pod_name: &str) -> Result<(), Unfit> {
        let certificate = from_pem(pem).map_err(|_| Unfit::Malformed)?;
        let parsed = parse(&certificate).map_err(|_| Unfit::Malformed)?;
        if !signed_by(&self.operator_ca, parsed.tbs_certificate.as_ref(), &parsed.signature_value.data) {
            return Err(Unfit::Issuer);
        }
        let names = parsed.subject_alternative_name().ok().flatten().map(|names| &names.value.general_names);
        let is_own = |name: &GeneralName<'_>| matches!(name, GeneralName::DNSName(dns) if *dns == pod_name);
        if !names.is_some_and(|names| names.iter().any(is_own)) {
            return Err(Unfit::Name);
        }
        let expected = self.key.public_key().ok_or(Unfit::Key)?;
        if spki_der(&certificate).map_err(|_| Unfit::Malformed)? != expected.as_ref() {
            return Err(Unfit::Key);
        }
        self.current.store(Arc::new(CertifiedKey::new(vec![certificate], Arc::clone(&self.key))));
        Ok(())
    }

    /// SHA-256 of the certificate that is presented now.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        self.current.load().cert.first().map(|certificate| sha256(certificate)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use hsm_client::pki::{CertificateAuthority, PrivateKeyPem};

    use super::*;

    const POD: &str = "cluster-a-0";

    fn authority() -> CertificateAuthority {
        let made = CertificateAuthority::generate_operator("cluster-a", SystemTime::now()).unwrap();
        CertificateAuthority::load(&made.certificate, &made.key).unwrap()
    }

    fn renewed(authority: &CertificateAuthority, pod: &str, key: &PrivateKeyPem) -> String {
        authority.renew_pod(pod, key, SystemTime::now(), Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_renewed_certificate_must_be_of_the_operator_ca_for_this_pod_and_its_key() {
        let (own, other) = (authority(), authority());
        let (first, foreign) = (own.issue_pod(POD, SystemTime::now()).unwrap(), own.issue_pod(POD, SystemTime::now()));
        let presented = PodCertificate::new(
            first.certificate.as_bytes(),
            first.key.expose().as_bytes(),
            from_pem(own.certificate().as_bytes()).unwrap(),
        );
        let (presented, foreign) = (presented.unwrap(), foreign.unwrap());
        let before = presented.fingerprint();
        let refused = [
            (Unfit::Malformed, "nonsense".to_owned()),
            (Unfit::Issuer, renewed(&other, POD, &first.key)),
            (Unfit::Name, renewed(&own, "cluster-a-1", &first.key)),
            (Unfit::Key, renewed(&own, POD, &foreign.key)),
        ];
        for (why, pem) in refused {
            assert_eq!(presented.renew(pem.as_bytes(), POD), Err(why));
            assert_eq!(presented.fingerprint(), before, "{why}");
        }
        presented.renew(renewed(&own, POD, &first.key).as_bytes(), POD).unwrap();
        assert_ne!(presented.fingerprint(), before);
    }
}
