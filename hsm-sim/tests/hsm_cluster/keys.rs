//! Keys: made once, copied under the masking key, proven by fingerprint, used on every HSM (P2, D8, D9).

use crate::harness::Cluster;
use crate::harness::keys::{kmsusers, make_everywhere, new_key};
use hsm_client::command::{KeySearch, NewKey};
use hsm_client::{HsmError, ReturnCode};

#[tokio::test(flavor = "multi_thread")]
async fn what_one_hsm_encrypts_every_other_one_decrypts() {
    let cluster = Cluster::active().await;
    let sessions = kmsusers(&cluster).await;
    let key_id = make_everywhere(&cluster, &sessions).await;
    for (from, session) in sessions.iter().enumerate() {
        let plaintext = format!("from {from}");
        let blob = session.encrypt(key_id, plaintext.as_bytes(), b"context").await.expect("encrypts");
        for other in &sessions {
            let opened = other.decrypt(&blob, b"context").await.expect("decrypts");
            assert_eq!(opened.plaintext.as_slice(), plaintext.as_bytes());
            assert_eq!(opened.key_id, key_id);
            let wrong = other.decrypt(&blob, b"another").await.map(drop);
            assert_eq!(wrong, Err(HsmError::Refused(ReturnCode::CiphertextInvalid)));
        }
        let key = session.generate_data_key(key_id, 32, b"", true).await.expect("makes a data key");
        let opened = sessions[(from + 1) % 3].decrypt(&key.blob, b"").await.expect("decrypts");
        assert_eq!(Some(opened.plaintext), key.plaintext);
    }
}

/// INV-19: exactly one material per key id, however often and by whomever it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_id_gets_material_once_and_another_operation_is_told_so() {
    let cluster = Cluster::active().await;
    let session = cluster.kmsuser(0).await;
    let key = new_key(cluster.fence(&session).await);
    let first = session.generate_key(&key).await.expect("generates");
    let again = session.generate_key(&key).await.expect("is the same operation");
    assert!(first.created && !again.created);
    assert_eq!((first.handle, first.fingerprint), (again.handle, again.fingerprint));
    let other = session.generate_key(&NewKey { op_id: [1; 16], ..key.clone() }).await;
    assert_eq!(other, Err(HsmError::Refused(ReturnCode::KeyExists)));
    let record = session.read_key(key.key_id).await.expect("is there");
    assert_eq!((record.fingerprint, record.op_id), (first.fingerprint, key.op_id.to_vec()));
    assert_eq!((record.label, record.object_uid), (key.label, key.object_uid));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_key_survives_a_kill_with_its_record() {
    let mut cluster = Cluster::active().await;
    let session = cluster.kmsuser(0).await;
    let key = new_key(cluster.fence(&session).await);
    let made = session.generate_key(&key).await.expect("generates");
    let blob = session.encrypt(key.key_id, b"before", b"").await.expect("encrypts");
    cluster.restart(0);
    let session = cluster.kmsuser(0).await;
    let record = session.read_key(key.key_id).await.expect("is there");
    assert_eq!((record.fingerprint, record.handle), (made.fingerprint, made.handle));
    let search = KeySearch { namespace: key.namespace, name: key.name, after: None, limit: 10 };
    assert_eq!(session.find_keys(&search).await.expect("finds").keys, [record]);
    assert_eq!(session.decrypt(&blob, b"").await.expect("decrypts").plaintext.as_slice(), b"before");
}

/// INV-49.
#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_key_refuses_crypto_until_it_is_enabled_again() {
    let cluster = Cluster::active().await;
    let session = cluster.kmsuser(0).await;
    let fence = cluster.fence(&session).await;
    let key = new_key(fence);
    session.generate_key(&key).await.expect("generates");
    let version = session.read_key(key.key_id).await.expect("is there").attribute_version;
    session.set_key_state(key.key_id, false, version + 1, fence).await.expect("disables");
    let refused = session.encrypt(key.key_id, b"x", b"").await;
    assert_eq!(refused, Err(HsmError::Refused(ReturnCode::KeyNotUsable)));
    let stale = session.set_key_state(key.key_id, true, version + 1, fence).await;
    assert!(stale.is_err(), "a version only rises");
    session.set_key_state(key.key_id, true, version + 2, fence).await.expect("enables");
    session.encrypt(key.key_id, b"x", b"").await.expect("encrypts");
}

/// A masked key is opaque: changed or made elsewhere, it is not taken in.
#[tokio::test(flavor = "multi_thread")]
async fn a_masked_key_that_was_changed_is_refused() {
    let cluster = Cluster::active().await;
    let (one, two) = (cluster.kmsuser(0).await, cluster.kmsuser(1).await);
    let key = new_key(cluster.fence(&one).await);
    one.generate_key(&key).await.expect("generates");
    let mut masked = one.extract_masked_key(key.key_id).await.expect("extracts");
    let last = masked.len() - 1;
    masked[last] ^= 1;
    let fence = cluster.fence(&two).await;
    assert!(two.insert_masked_key(&masked, fence).await.is_err());
    assert!(two.insert_masked_key(b"nonsense", fence).await.is_err());
    assert_eq!(two.read_key(key.key_id).await, Err(HsmError::Refused(ReturnCode::InvalidObjectHandle)));
}
