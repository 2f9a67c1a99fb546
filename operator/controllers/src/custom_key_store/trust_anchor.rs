//! The check behind `IncorrectTrustAnchorException`: the cluster certificate really was issued by the store's trust anchor (CKS-25).
//!
//! Certificates made with the user guide's commands are X.509 v1, so this looks at names and signatures only and asks for no extension.

use x509_parser::{pem::Pem, prelude::X509Certificate};

/// Why a trust anchor does not fit. The text goes into the condition: it names no content of the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IncorrectTrustAnchor {
    /// The anchor is not one PEM certificate.
    #[error("the trust anchor is not a PEM certificate")]
    Unreadable,
    /// The anchor is not signed by its own key.
    #[error("the trust anchor is not self-signed")]
    NotSelfSigned,
    /// The cluster certificate has another issuer, or the signature does not verify.
    #[error("the cluster certificate was not issued by this trust anchor")]
    NotTheIssuer,
    /// The cluster shows no readable certificate.
    #[error("the cluster has no readable cluster certificate")]
    NoClusterCertificate,
}

/// Verifies that `anchor_pem` is self-signed and issued `cluster_certificate_pem`.
///
/// # Errors
/// The first rule that is broken.
pub fn verify(anchor_pem: &str, cluster_certificate_pem: &str) -> Result<(), IncorrectTrustAnchor> {
    let anchor_pem = first_pem(anchor_pem).ok_or(IncorrectTrustAnchor::Unreadable)?;
    let anchor = certificate(&anchor_pem).ok_or(IncorrectTrustAnchor::Unreadable)?;
    let cluster_pem = first_pem(cluster_certificate_pem).ok_or(IncorrectTrustAnchor::NoClusterCertificate)?;
    let cluster = certificate(&cluster_pem).ok_or(IncorrectTrustAnchor::NoClusterCertificate)?;
    if anchor.subject() != anchor.issuer() || anchor.verify_signature(None).is_err() {
        return Err(IncorrectTrustAnchor::NotSelfSigned);
    }
    if cluster.issuer() != anchor.subject() || cluster.verify_signature(Some(anchor.public_key())).is_err() {
        return Err(IncorrectTrustAnchor::NotTheIssuer);
    }
    Ok(())
}

/// DER of the first certificate in a PEM text, or `None` if there is none.
#[must_use]
pub fn certificate_der(pem: &str) -> Option<Vec<u8>> {
    let pem = first_pem(pem)?;
    certificate(&pem)?;
    Some(pem.contents)
}

fn first_pem(text: &str) -> Option<Pem> {
    Pem::iter_from_buffer(text.as_bytes()).next()?.ok().filter(|pem| pem.label == "CERTIFICATE")
}

fn certificate(pem: &Pem) -> Option<X509Certificate<'_>> {
    pem.parse_x509().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

    struct Authority {
        issuer: Issuer<'static, KeyPair>,
        pem: String,
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    fn authority(name: &str) -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    fn issued_by(authority: &Authority) -> String {
        params("cluster").signed_by(&KeyPair::generate().unwrap(), &authority.issuer).unwrap().pem()
    }

    #[test]
    fn the_issuer_of_the_cluster_certificate_is_accepted() {
        let authority = authority("customer");
        assert_eq!(verify(&authority.pem, &issued_by(&authority)), Ok(()));
    }

    #[test]
    fn another_authority_of_the_same_name_is_refused() {
        let cluster = issued_by(&authority("customer"));
        assert_eq!(verify(&authority("customer").pem, &cluster), Err(IncorrectTrustAnchor::NotTheIssuer));
        assert_eq!(verify(&authority("somebody").pem, &cluster), Err(IncorrectTrustAnchor::NotTheIssuer));
    }

    #[test]
    fn an_anchor_that_another_authority_signed_is_refused() {
        let authority = authority("customer");
        let intermediate = issued_by(&authority);
        assert_eq!(verify(&intermediate, &issued_by(&authority)), Err(IncorrectTrustAnchor::NotSelfSigned));
    }

    #[test]
    fn text_that_is_no_certificate_is_refused_as_a_wrong_anchor() {
        let authority = authority("customer");
        let cluster = issued_by(&authority);
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for wrong in ["", "not pem", key, damaged] {
            assert_eq!(verify(wrong, &cluster), Err(IncorrectTrustAnchor::Unreadable), "{wrong}");
        }
        assert_eq!(verify(&authority.pem, ""), Err(IncorrectTrustAnchor::NoClusterCertificate));
    }
}
