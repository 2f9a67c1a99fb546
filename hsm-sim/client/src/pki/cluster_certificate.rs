//! Signing the cluster's certificate request with the customer CA (spec 1.3, step 4).

use super::{CertificateAuthority, PkiError, parameters};
use rcgen::{CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose};
use std::time::{Duration, SystemTime};

/// Just short of the authority's ten years: a cluster certificate cannot be renewed (HSM-5).
const LIFETIME: Duration = Duration::from_secs(3650 * 24 * 3600);

/// A request of 4096-bit RSA with every field filled is under 3 KiB; more than this is not one.
const LONGEST_REQUEST: usize = 16 * 1024;

impl CertificateAuthority {
    /// Signs the cluster's certificate request and returns the cluster certificate, PEM.
    ///
    /// Takes only the public key and the subject from the request; every extension is ours, so a request cannot ask
    /// for a certificate that is itself an authority. The request's own signature is verified.
    ///
    /// # Errors
    /// [`PkiError::Malformed`] when the request is too long, is not PEM of a request, or its signature is wrong.
    pub fn sign_csr(&self, csr: &str, now: SystemTime) -> Result<String, PkiError> {
        if csr.len() > LONGEST_REQUEST {
            return Err(PkiError::malformed("certificate signing request", "it is longer than 16 KiB"));
        }
        let mut request = CertificateSigningRequestParams::from_pem(csr)
            .map_err(|source| PkiError::malformed("certificate signing request", source))?;
        let subject = request.params.distinguished_name;
        request.params = parameters(&[(DnType::CommonName, "cluster")], now, LIFETIME);
        if subject.iter().next().is_some() {
            request.params.distinguished_name = subject;
        }
        request.params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Version 3 needs an extension that says "not an authority" when v3 extensions are used (spec 1.3, step 4).
        request.params.is_ca = rcgen::IsCa::ExplicitNoCa;
        let certificate =
            request.signed_by(&self.issuer()?).map_err(PkiError::library("sign the cluster certificate"))?;
        Ok(certificate.pem())
    }
}
