//! Keys on all HSMs of a cluster, and delegates that may use them, made as the controllers make them.

use crate::Cluster;
use hsm_client::command::NewKey;
use hsm_client::{ClientIdentity, KeyId, Session};

/// The store of [`connected`].
pub const STORE: &str = "cks-1234567890abcdef0";

/// A key that nobody has made yet.
pub fn new_key(fence: u64) -> NewKey {
    let mut id = [0; 16];
    aws_lc_rs::rand::fill(&mut id).expect("randomness");
    let key_id = KeyId(id);
    NewKey {
        key_id,
        op_id: id,
        label: format!("arn:aws:kms:local-1:111122223333:key/{key_id}"),
        namespace: "team-a".into(),
        name: format!("key-{key_id}"),
        object_uid: format!("uid-{key_id}"),
        fence,
    }
}

/// Makes a key on the first session, copies it to the others, and reads it back from each (P2, steps 3 to 5).
pub async fn make_everywhere(cluster: &Cluster, sessions: &[Session]) -> KeyId {
    let key = new_key(cluster.fence(&sessions[0]).await);
    let made = sessions[0].generate_key(&key).await.expect("generates");
    let masked = sessions[0].extract_masked_key(key.key_id).await.expect("extracts");
    for session in &sessions[1..] {
        let fence = cluster.fence(session).await;
        let inserted = session.insert_masked_key(&masked, fence).await.expect("inserts");
        assert_eq!(inserted.fingerprint, made.fingerprint);
    }
    for session in sessions {
        let record = session.read_key(key.key_id).await.expect("is there");
        assert_eq!(record.fingerprint, made.fingerprint);
    }
    key.key_id
}

/// A session to each HSM with `kmsuser` logged in.
pub async fn kmsusers(cluster: &Cluster) -> Vec<Session> {
    vec![cluster.kmsuser(0).await, cluster.kmsuser(1).await, cluster.kmsuser(2).await]
}

/// Registers `gateway` as a delegate of generation 1 of [`STORE`] on every HSM and makes one key.
pub async fn connected(cluster: &Cluster, gateway: &ClientIdentity) -> KeyId {
    let sessions = kmsusers(cluster).await;
    for session in &sessions {
        let fence = cluster.fence(session).await;
        session.register_delegates(STORE, 1, &[gateway.public_key_fingerprint()], fence).await.expect("registers");
    }
    make_everywhere(cluster, &sessions).await
}
