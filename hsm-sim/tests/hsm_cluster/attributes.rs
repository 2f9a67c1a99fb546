//! Anti-entropy carries attributes too: the higher version wins, whoever has it (P7).

use crate::harness::Cluster;
use crate::harness::cluster::PATIENCE;
use crate::harness::keys::{kmsusers, make_everywhere};
use hsm_client::{HsmError, ReturnCode};
use std::time::{Duration, Instant};

/// INV-49: disabled on one HSM, refused on every HSM.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_disabled_on_one_hsm_becomes_disabled_on_all() {
    let cluster = Cluster::active().await;
    let sessions = kmsusers(&cluster).await;
    let key_id = make_everywhere(&cluster, &sessions).await;
    let fence = cluster.fence(&sessions[0]).await;
    sessions[0].set_key_state(key_id, false, 2, fence).await.expect("disables");
    let begun = Instant::now();
    for session in &sessions {
        while session.read_key(key_id).await.expect("reads").enabled {
            assert!(begun.elapsed() < PATIENCE);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let refused = session.encrypt(key_id, b"a", b"").await.map(drop);
        assert_eq!(refused, Err(HsmError::Refused(ReturnCode::KeyNotUsable)));
    }
    let stale = sessions[0].set_key_state(key_id, true, 1, fence).await;
    assert_eq!(stale, Err(HsmError::Refused(ReturnCode::WrongState)));
}
