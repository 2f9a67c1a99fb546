//! The gateway's HTTPS certificate: `gateway-serving` {tls.crt, tls.key, ca.crt}, issued by an installation CA `gateway-ca` in the vault.
//!
//! Clients trust `ca.crt` (`AWS_CA_BUNDLE`), so the CA is made once and kept; the certificate under it changes with time.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use hsm_client::pki::CertificateAuthority;
use operator_domain::Timestamp;
use x509_parser::extensions::GeneralName;

use super::expiry::{CertificateUse, Found};
use super::{CertificateError, end_of, private_key, text, time_of, until};
use crate::context::{Context, Settings};
use crate::report::Controller;
use crate::secrets::{SecretData, SecretStore, StoredSecret};

/// The CA's Secret in the vault namespace.
const AUTHORITY: &str = "gateway-ca";
/// The serving certificate's Secret in the gateway namespace.
const SERVING: &str = "gateway-serving";

/// Makes what is missing, renews what ends, and leaves the rest alone. Returns how long nothing will be due.
pub(super) async fn ensure(context: &Context, now: SystemTime) -> Result<Duration, CertificateError> {
    context.leader.check()?;
    let term = context.settings.certificates.gateway_serving;
    let secrets = context.secrets(Controller::Certificate);
    let namespaces = context.namespaces();
    let authority = authority(&secrets, &namespaces.vault, now).await?;
    let names = names(&context.settings);
    let present = secrets.read(&namespaces.gateway, SERVING).await?;
    if let Some(end) = present.as_ref().and_then(|stored| usable_until(stored, authority.certificate(), &names)) {
        note(context, end, now);
        if !term.is_due(end, time_of(now)) {
            return Ok(until(term.renewal_of(end), now));
        }
    }
    let issued = authority.issue_server(&names, now, term.lifetime())?;
    let end = end_of(&issued.certificate)?;
    let data = SecretData::default()
        .with("tls.crt", issued.certificate.as_str())
        .with("tls.key", issued.key.expose())
        .with("ca.crt", authority.certificate());
    match present {
        Some(stored) => secrets.replace(&namespaces.gateway, SERVING, &stored, data).await?,
        None => secrets.put_if_absent(&namespaces.gateway, SERVING, &[], data).await?,
    };
    tracing::info!(names = ?names, "issued the gateway's serving certificate");
    note(context, end, now);
    Ok(until(term.renewal_of(end), now))
}

/// Shows in the metric when it ends, and says in the log if that is near: then the renewal has failed for some time.
fn note(context: &Context, end: Timestamp, now: SystemTime) {
    let term = context.settings.certificates.gateway_serving;
    let found = Found::new(CertificateUse::GatewayServing, SERVING, end, term, time_of(now));
    if found.late {
        tracing::warn!(end = end.as_unix_seconds(), "the gateway's serving certificate expires soon");
    }
    context.certificate_ends.note(&context.metrics.certificate_ends, "installation", &[found]);
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

/// When the stored certificate ends, if it has a key, is of the present authority, and bears every name.
fn usable_until(stored: &StoredSecret, authority: &str, names: &[String]) -> Option<Timestamp> {
    let (certificate, _key) = (stored.data.text("tls.crt")?, stored.data.text("tls.key")?);
    let present = subject_names(certificate)?;
    let complete = stored.data.text("ca.crt") == Some(authority) && names.iter().all(|name| present.contains(name));
    if complete { end_of(certificate).ok() } else { None }
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
        let leaf = authority.issue_server(&names, now, Duration::from_secs(60)).unwrap();
        assert_eq!(subject_names(&leaf.certificate), Some(names.into()));
        assert_eq!(subject_names("nonsense"), None);
    }
}
