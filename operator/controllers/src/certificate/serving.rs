//! The gateway's HTTPS certificate: `gateway-serving` {tls.crt, tls.key, ca.crt}, issued by an installation CA `gateway-ca` in the vault.
//!
//! Clients trust `ca.crt` (`AWS_CA_BUNDLE`), so the CA is made once and kept; the certificate under it changes every two months.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use hsm_client::pki::CertificateAuthority;
use x509_parser::extensions::GeneralName;

use super::{CertificateError, is_due, private_key, text};
use crate::context::{Context, Settings};
use crate::report::Controller;
use crate::secrets::{SecretData, SecretStore, StoredSecret};

/// The CA's Secret in the vault namespace.
const AUTHORITY: &str = "gateway-ca";
/// The serving certificate's Secret in the gateway namespace.
const SERVING: &str = "gateway-serving";
const LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// Makes what is missing, renews what ends, and leaves the rest alone.
pub(super) async fn ensure(context: &Context, now: SystemTime) -> Result<(), CertificateError> {
    context.leader.check()?;
    let secrets = context.secrets(Controller::Certificate);
    let namespaces = context.namespaces();
    let authority = authority(&secrets, &namespaces.vault, now).await?;
    let names = names(&context.settings);
    let present = secrets.read(&namespaces.gateway, SERVING).await?;
    if present.as_ref().is_some_and(|stored| is_good(stored, authority.certificate(), &names, now)) {
        return Ok(());
    }
    let issued = authority.issue_server(&names, now, LIFETIME)?;
    let data = SecretData::default()
        .with("tls.crt", issued.certificate.as_str())
        .with("tls.key", issued.key.expose())
        .with("ca.crt", authority.certificate());
    match present {
        Some(stored) => secrets.replace(&namespaces.gateway, SERVING, &stored, data).await?,
        None => secrets.put_if_absent(&namespaces.gateway, SERVING, &[], data).await?,
    };
    tracing::info!(names = ?names, "issued the gateway's serving certificate");
    Ok(())
}

async fn authority(
    secrets: &SecretStore,
    namespace: &str,
    now: SystemTime,
) -> Result<CertificateAuthority, CertificateError> {
    let stored = match secrets.read(namespace, AUTHORITY).await? {
        Some(stored) => stored,
        None => {
            let issued = CertificateAuthority::generate_operator("keystore-gateway", now)?;
            let data =
                SecretData::default().with("ca.crt", issued.certificate.as_str()).with("ca.key", issued.key.expose());
            secrets.put_if_absent(namespace, AUTHORITY, &[], data).await?
        }
    };
    let key = private_key(AUTHORITY, &stored.data, "ca.key")?;
    Ok(CertificateAuthority::load(text(AUTHORITY, &stored.data, "ca.crt")?, &key)?)
}

/// Under which names clients reach the gateway: from the machine (kind's port mapping), from pods, and those the installation adds.
fn names(settings: &Settings) -> Vec<String> {
    let service = format!("keystore-gateway.{}.svc", settings.namespaces.gateway);
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "keystore-gateway".to_owned(),
        format!("keystore-gateway.{}", settings.namespaces.gateway),
        service.clone(),
        format!("{service}.cluster.local"),
    ];
    for name in &settings.gateway_names {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn is_good(stored: &StoredSecret, authority: &str, names: &[String], now: SystemTime) -> bool {
    let (Some(certificate), Some(_)) = (stored.data.text("tls.crt"), stored.data.text("tls.key")) else { return false };
    let named = subject_names(certificate).is_some_and(|present| names.iter().all(|name| present.contains(name)));
    stored.data.text("ca.crt") == Some(authority) && named && !is_due(certificate, LIFETIME, now)
}

/// The alternative names in a certificate; `None` when it cannot be read.
fn subject_names(certificate: &str) -> Option<BTreeSet<String>> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(certificate.as_bytes()).ok()?;
    let parsed = pem.parse_x509().ok()?;
    let extension = parsed.subject_alternative_name().ok()??;
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(dns) => Some((*dns).to_owned()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|ip| IpAddr::from(ip).to_string()),
            16 => <[u8; 16]>::try_from(*bytes).ok().map(|ip| IpAddr::from(ip).to_string()),
            _ => None,
        },
        _ => None,
    };
    Some(extension.value.general_names.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_bears_every_name_under_which_the_gateway_is_reached() {
        let now = SystemTime::now();
        let issued = CertificateAuthority::generate_operator("test", now).unwrap();
        let authority = CertificateAuthority::load(&issued.certificate, &issued.key).unwrap();
        let names =
            ["localhost", "127.0.0.1", "keystore-gateway.keystore-gateway.svc", "10.1.2.3", "::1"].map(str::to_owned);
        let leaf = authority.issue_server(&names, now, LIFETIME).unwrap();
        assert_eq!(subject_names(&leaf.certificate), Some(names.into()));
        assert_eq!(subject_names("nonsense"), None);
    }
}
