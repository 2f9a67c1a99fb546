//! Opens an HSM's volume from outside, with both shares: the ground truth of what a key is made of.
//!
//! Written from the format's description (hsm-sim's `store` and `seal`) and not with its code: what finds a key here is not what hid it, and a
//! volume can be read without the program that wrote it.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use aws_lc_rs::{hkdf, hmac};
use hsm_protocol::message::MaskedKeyContent;
use prost::Message;
use redb::{Database, ReadableDatabase, TableDefinition};
use zeroize::Zeroizing;

const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
/// Kind of a key's record: the first byte of its name.
const KEY: u8 = 6;

/// Whose volume it is: part of what every record is bound to (INV-58).
#[derive(Debug)]
pub struct Owner {
    /// `cluster-…`
    pub cluster_id: String,
    /// `hsm-…`
    pub hsm_id: String,
    /// SHA-256 of the cluster certificate.
    pub lineage: [u8; 32],
}

/// What an HSM stores of a key, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
#[prost(skip_debug)]
struct KeyRow {
    #[prost(bytes = "vec", tag = "1")]
    content: Vec<u8>,
}

/// The 32 bytes of the key `key_id`, of which `fingerprint` is known. `volume` is a copy of the folder `volume` of a pod that does not run:
/// opening a store writes to it.
///
/// # Errors
/// When the shares do not belong to the volume, the record is not there or not authentic, or it is not the key that the fingerprint says.
pub fn key_material(
    volume: &Path,
    secret_share: &[u8],
    owner: &Owner,
    key_id: [u8; 16],
    fingerprint: &[u8],
) -> Result<Zeroizing<Vec<u8>>> {
    let header = Zeroizing::new(std::fs::read(volume.join("header"))?);
    let rest = header.strip_prefix(b"KSHSMVOL\0\0\0\x01").context("no header of format 1")?;
    let (volume_id, rest) = rest.split_first_chunk::<16>().context("no volume id")?;
    let (volume_share, _) = rest.split_first_chunk::<32>().context("no share")?;
    let root = records_key(secret_share, volume_share)?;
    let name = [&[KEY], &key_id[..]].concat();
    let stored = record(&volume.join("store.redb"), &name)?;
    let row = open(&root, &stored, |version| binding(volume_id, owner, &name, version))?;
    let content = Zeroizing::new(KeyRow::decode(&row[..])?.content);
    let mut content = MaskedKeyContent::decode(&content[..])?;
    let material = Zeroizing::new(std::mem::take(&mut content.material));
    let key = hmac::Key::new(hmac::HMAC_SHA256, &material);
    let message = [&b"keystores key fingerprint v1\0"[..], &key_id, &content.backing_key_id].concat();
    hmac::verify(&key, &message, fingerprint).map_err(|_| anyhow!("the record holds other material"))?;
    Ok(material)
}

fn record(path: &Path, name: &[u8]) -> Result<Vec<u8>> {
    let database = Database::open(path)?;
    let table = database.begin_read()?.open_table(RECORDS)?;
    let stored = table.get(name)?.context("no such record")?;
    Ok(stored.value().to_vec())
}

fn records_key(secret_share: &[u8], volume_share: &[u8; 32]) -> Result<Zeroizing<[u8; 32]>> {
    let shares = Zeroizing::new([secret_share, volume_share].concat());
    let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"keystores volume root v1").extract(&shares);
    let mut key = Zeroizing::new([0; 32]);
    let failed = |_| anyhow!("failed to derive the records' key");
    root.expand(&[b"records".as_slice()], hkdf::HKDF_SHA256).map_err(failed)?.fill(&mut key[..]).map_err(failed)?;
    Ok(key)
}

fn binding(volume_id: &[u8; 16], owner: &Owner, name: &[u8], version: u64) -> Vec<u8> {
    let fields: [&[u8]; 5] = [volume_id, owner.cluster_id.as_bytes(), owner.hsm_id.as_bytes(), &owner.lineage, name];
    let mut bytes = b"keystores record v1\0".to_vec();
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u64).to_be_bytes());
        bytes.extend_from_slice(field);
    }
    bytes.extend_from_slice(&version.to_be_bytes());
    bytes
}

/// `version 8 | random 16 | ciphertext | tag 16`, under a key and a nonce derived from the random value.
fn open(root: &[u8; 32], stored: &[u8], binding: impl Fn(u64) -> Vec<u8>) -> Result<Zeroizing<Vec<u8>>> {
    let (version, sealed) = stored.split_first_chunk::<8>().context("a short record")?;
    let (random, ciphertext) = sealed.split_first_chunk::<16>().context("a short record")?;
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256).context("no KBKDF")?;
    let info = [&b"keystores record v1\0"[..], random, &352u32.to_be_bytes()].concat();
    let mut derived = Zeroizing::new([0; 44]);
    kbkdf_ctr_hmac(algorithm, root, &info, &mut derived[..]).map_err(|_| anyhow!("failed to derive"))?;
    let (key, nonce) = derived.split_at(32);
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| anyhow!("no key"))?);
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| anyhow!("no nonce"))?;
    let mut buffer = Zeroizing::new(ciphertext.to_vec());
    let binding = binding(u64::from_be_bytes(*version));
    let opened = cipher.open_in_place(nonce, Aad::from(binding), &mut buffer[..]);
    let length = opened.map_err(|_| anyhow!("the record does not authenticate"))?.len();
    buffer.truncate(length);
    Ok(buffer)
}
