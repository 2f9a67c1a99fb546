//! The trust anchor (`customerCA.crt`): what a user hands over, parsed with bounds.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// 32 KiB: several times the largest anchor AWS accepts.
const LONGEST: usize = 32 * 1024;
/// More certificates than this are a bundle, not an anchor.
const MOST_CERTIFICATES: usize = 10;

/// The self-signed certificate(s) under which the cluster certificate must have been issued (HSM-13).
#[derive(Clone, PartialEq, Eq)]
pub struct TrustAnchor {
    certificates: Vec<CertificateDer<'static>>,
    pem: String,
}

/// Why a text is no trust anchor; becomes `IncorrectTrustAnchorException` (CKS-25).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustAnchorError {
    /// Longer than 32 KiB.
    #[error("failed to read the trust anchor: it is {0} bytes long, more than {LONGEST}")]
    TooLong(usize),
    /// No certificate in it.
    #[error("failed to read the trust anchor: it holds no PEM certificate")]
    NoCertificate,
    /// More than ten certificates.
    #[error("failed to read the trust anchor: it holds more than {MOST_CERTIFICATES} certificates")]
    TooManyCertificates,
    /// PEM that is damaged.
    #[error("failed to read the trust anchor: its PEM is damaged")]
    DamagedPem,
    /// A section that is no X.509 certificate; counted from 1.
    #[error("failed to read the trust anchor: certificate {0} is not X.509")]
    NotACertificate(usize),
    /// Not issued by itself; counted from 1. Intermediates are not allowed (spec 1.3, step 4).
    #[error("failed to accept the trust anchor: certificate {0} is not self-signed")]
    NotSelfSigned(usize),
}

impl TrustAnchor {
    /// Parses and checks a PEM text: at most 32 KiB, one to ten certificates, each of them self-signed.
    ///
    /// # Errors
    /// [`TrustAnchorError`], which says what is wrong and repeats nothing of the text.
    pub fn parse(pem: &str) -> Result<Self, TrustAnchorError> {
        if pem.len() > LONGEST {
            return Err(TrustAnchorError::TooLong(pem.len()));
        }
        let mut certificates = Vec::new();
        for section in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            if certificates.len() == MOST_CERTIFICATES {
                return Err(TrustAnchorError::TooManyCertificates);
            }
            certificates.push(section.map_err(|_| TrustAnchorError::DamagedPem)?);
        }
        if certificates.is_empty() {
            return Err(TrustAnchorError::NoCertificate);
        }
        for (index, certificate) in certificates.iter().enumerate() {
            check_self_signed(certificate, index + 1)?;
        }
        Ok(Self { certificates, pem: pem.to_owned() })
    }

    /// The PEM text as it was given.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}

impl std::fmt::Debug for TrustAnchor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "TrustAnchor({} certificates)", self.certificates.len())
    }
}

fn check_self_signed(der: &CertificateDer<'_>, position: usize) -> Result<(), TrustAnchorError> {
    let (rest, certificate) =
        x509_parser::parse_x509_certificate(der).map_err(|_| TrustAnchorError::NotACertificate(position))?;
    if !rest.is_empty() {
        return Err(TrustAnchorError::NotACertificate(position));
    }
    if certificate.subject().as_raw() != certificate.issuer().as_raw() || certificate.verify_signature(None).is_err() {
        return Err(TrustAnchorError::NotSelfSigned(position));
    }
    Ok(())
}
