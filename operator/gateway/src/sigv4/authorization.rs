//! Parses the `Authorization` header into its members. Nothing is believed yet: this only establishes the form.

use super::{ALGORITHM, Refusal};
use crate::service::Service;

/// Length of a signature in bytes.
pub const SIGNATURE_LENGTH: usize = 32;
/// Longest access key id that is looked up; AWS allows 16–128 characters.
const LONGEST_ACCESS_KEY_ID: usize = 128;

/// The members of one `Authorization` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// Who signed, for when and where.
    pub scope: Scope<'a>,
    /// The list of signed headers as sent: lower-case, sorted, separated by semicolons.
    pub signed_headers: &'a str,
    /// The signature's bytes.
    pub signature: [u8; SIGNATURE_LENGTH],
}

/// The credential scope `<access key id>/<date>/<region>/<service>/aws4_request`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The claimed access key.
    pub access_key_id: &'a str,
    /// The day, `yyyymmdd`.
    pub date: &'a str,
    /// The claimed region.
    pub region: &'a str,
    /// The claimed service.
    pub service: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses the header's value.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedAlgorithm`] or one of the `Malformed*` refusals.
    pub fn parse(header: &'a str) -> Result<Self, Refusal> {
        let (algorithm, members) = header.split_once(' ').ok_or(Refusal::MalformedAuthorization)?;
        if algorithm != ALGORITHM {
            return Err(Refusal::UnsupportedAlgorithm);
        }
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for member in members.split(',') {
            let (name, value) = member.trim_matches(' ').split_once('=').ok_or(Refusal::MalformedAuthorization)?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Refusal::MalformedAuthorization),
            };
            if slot.replace(value).is_some() {
                return Err(Refusal::MalformedAuthorization);
            }
        }
        let signed_headers = signed_headers.ok_or(Refusal::MalformedAuthorization)?;
        check_signed_headers(signed_headers)?;
        Ok(Self {
            scope: Scope::parse(credential.ok_or(Refusal::MalformedAuthorization)?)?,
            signed_headers,
            signature: parse_signature(signature.ok_or(Refusal::MalformedAuthorization)?)?,
        })
    }

    /// Whether the signature covers the header `name`, given in lower case.
    #[must_use]
    pub fn covers(&self, name: &str) -> bool {
        names(self.signed_headers).any(|signed| signed == name.as_bytes())
    }
}

impl<'a> Scope<'a> {
    fn parse(credential: &'a str) -> Result<Self, Refusal> {
        let mut parts = credential.split('/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(Refusal::MalformedScope);
        let scope = Self { access_key_id: next()?, date: next()?, region: next()?, service: next()? };
        if next()? != "aws4_request" || parts.next().is_some() || scope.access_key_id.len() > LONGEST_ACCESS_KEY_ID {
            return Err(Refusal::MalformedScope);
        }
        Ok(scope)
    }

    /// The service that the scope names, if the scope is meant for `region` and for a service offered here.
    ///
    /// # Errors
    /// [`Refusal::ScopeRegion`], [`Refusal::ScopeService`].
    pub fn service_for(&self, region: &str) -> Result<Service, Refusal> {
        if self.region != region {
            return Err(Refusal::ScopeRegion);
        }
        Service::from_scope(self.service).ok_or(Refusal::ScopeService)
    }
}

/// The names in a list of signed headers. They are short and many: searching for each end as in a text would cost more than
/// to look at every byte.
fn names(list: &str) -> impl Iterator<Item = &[u8]> {
    list.as_bytes().split(|byte| *byte == b';')
}

fn check_signed_headers(list: &str) -> Result<(), Refusal> {
    let well_formed = names(list)
        .all(|name| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    // Strictly: a name that stands twice is refused too.
    let sorted = names(list).is_sorted_by(|left, right| left < right);
    if well_formed && sorted { Ok(()) } else { Err(Refusal::MalformedSignedHeaders) }
}

fn parse_signature(text: &str) -> Result<[u8; SIGNATURE_LENGTH], Refusal> {
    let lower_case = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut signature = [0; SIGNATURE_LENGTH];
    if !lower_case || hex::decode_to_slice(text, &mut signature).is_err() {
        return Err(Refusal::MalformedSignature);
    }
    Ok(signature)
}
