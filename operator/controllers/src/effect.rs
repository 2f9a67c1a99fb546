//! Every place where a controller changes the world outside its own memory, by name, and the hook through which a test can stop the process there.
//!
//! Recovery after a crash is a property of each single effect (INV-21, INV-22): the tests kill the leader before an effect, after the effect was
//! done but before its answer was seen (a lost reply, INV-23), and after the answer. For that every effect must have a name and pass one point;
//! `e2e/tests/structure.rs` looks for those that do not. Without an installed [`Witness`] [`at`] is the effect itself.

use std::{fmt, future::Future, sync::OnceLock};

macro_rules! sites {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// One named external effect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Site { $($(#[$doc])* $variant,)+ }

        impl Site {
            /// Every site, in the order in which a cluster, a store and a key come to life.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name that a crash plan uses.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

sites! {
    /// POST of the claim that decides a namespace's account id (P3, D1).
    AccountClaim = "account.claim",
    /// POST of the cluster-scoped `KeystoreAccount`.
    AccountCreate = "account.create",
    /// The recovery record of an account (D5).
    AccountRecord = "account.record",
    /// The recovery record of a cluster (D5).
    ClusterRecord = "cluster.record",
    /// Set-once `spec.clusterId`.
    ClusterId = "cluster.id",
    /// The Secret with the operator CA; every Secret of the initialisation is written before it is used.
    ClusterOperatorAuthority = "cluster.operator-authority",
    /// The certificates of the pods' provisioning listeners, in one Secret.
    ClusterPodCertificates = "cluster.pod-certificates",
    /// The cluster's share of the sealing root.
    ClusterSealingShare = "cluster.sealing-share",
    /// `Assign` of one blank volume: it gets its HSM id (D18).
    ClusterAssign = "cluster.assign",
    /// The Secret with the customer CA.
    ClusterCustomerAuthority = "cluster.customer-authority",
    /// The officer's first and second password, in one Secret.
    ClusterOfficer = "cluster.officer",
    /// Set-once `spec.initializationIntent`: the HSM that is going to be initialised.
    ClusterIntent = "cluster.intent",
    /// `Initialize` of that HSM, once for ever (INV-08).
    ClusterInitialize = "cluster.initialize",
    /// Set-once `spec.clusterCertificateFingerprint`.
    ClusterCertificate = "cluster.certificate",
    /// The Secret with the controllers' client certificate.
    ClusterControllersClient = "cluster.controllers-client",
    /// The officer's login with the first password and its change to the second.
    ClusterActivate = "cluster.activate",
    /// The ring with epoch 1 of `kmsuser`.
    ClusterRing = "cluster.ring",
    /// The officer's login and `CreateUser` of `kmsuser`.
    ClusterKmsUser = "cluster.kmsuser",
    /// A roster sent to every HSM that lacks it.
    ClusterRoster = "cluster.roster",
    /// `Join` of one HSM, which pulls from its peers.
    ClusterJoin = "cluster.join",
    /// Set-once `spec.accessKeyId`.
    AccessKeyId = "access-key.id",
    /// The gateway's copy of an access key, first (D10).
    AccessKeyGatewaySecret = "access-key.gateway-secret",
    /// The tenant's copy, second.
    AccessKeyTenantSecret = "access-key.tenant-secret",
    /// `status.delivered`.
    AccessKeyStatus = "access-key.status",
    /// Revoking the gateway's copy.
    AccessKeyRevoke = "access-key.revoke",
    /// A finalizer put on one of our kinds.
    Finalizer = "object.finalizer",
    /// POST of the claim on a friendly name (INV-43).
    StoreNameClaim = "store.name-claim",
    /// POST of the claim on a lineage (INV-39).
    StoreLineageClaim = "store.lineage-claim",
    /// Set-once `spec.customKeyStoreId`.
    StoreId = "store.id",
    /// The recovery record of a store (D5).
    StoreRecord = "store.record",
    /// Any status write of a store.
    StoreStatus = "store.status",
    /// DELETE of a claim by the store's finalizer.
    StoreClaimRelease = "store.claim-release",
    /// `AcquireFence` on one HSM (P5).
    ConnectFence = "connect.fence",
    /// `ClaimCluster` on one HSM (INV-44).
    ConnectClaimCluster = "connect.claim-cluster",
    /// `DropGeneration` of all earlier connections on one HSM, which may have missed a disconnect (D12).
    ConnectDropEarlier = "connect.drop-earlier",
    /// The rotation's intent in the ring (P1.2).
    ConnectRingIntent = "connect.ring-intent",
    /// A deleted ring put back from memory (P1).
    RingRestore = "ring.restore",
    /// A `kmsuser` login with the epoch that an HSM reports (P1.3).
    ConnectLogin = "connect.login",
    /// `ChangePassword` on one HSM (P1.4).
    ConnectChangePassword = "connect.change-password",
    /// `Logout` on one HSM, so that the new password can be proved there.
    ConnectLogout = "connect.logout",
    /// The login that proves the new password on one HSM (P1.5).
    ConnectProof = "connect.proof",
    /// The rotation's commit in the ring (P1.6).
    ConnectRingCommit = "connect.ring-commit",
    /// `RegisterDelegates` on one HSM (D12).
    ConnectRegisterDelegates = "connect.register-delegates",
    /// `DropGeneration` on one HSM (D12).
    DisconnectDropGeneration = "disconnect.drop-generation",
    /// `Logout` on one HSM (CKS-60).
    DisconnectLogout = "disconnect.logout",
    /// `ReleaseClaim` on one HSM, when a store is deleted.
    DisconnectReleaseClaim = "disconnect.release-claim",
    /// Set-once `spec.keyId` and `spec.materialIntent` in one patch (P2.2).
    KeyIntent = "key.intent",
    /// `GenerateKey` on one HSM (P2.3).
    KeyGenerate = "key.generate",
    /// A masked copy taken out of one HSM (P2.4).
    KeyExtract = "key.extract",
    /// A masked copy put into another HSM (P2.4).
    KeyInsert = "key.insert",
    /// Set-once `spec.materialFingerprint` (P2.6).
    KeyFingerprint = "key.fingerprint",
    /// The recovery record of a key, before its status acknowledges it (D5).
    KeyRecord = "key.record",
    /// `SetKeyState` on one HSM (INV-49).
    KeyState = "key.state",
    /// Any status write of a key (P2.7).
    KeyStatus = "key.status",
    /// The recovery record of an alias (D5).
    AliasRecord = "alias.record",
    /// A status write of an alias.
    AliasStatus = "alias.status",
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Sees every effect from both sides. The product installs none; the tests' leader installs one that ends the process (see `e2e`).
pub trait Witness: Send + Sync {
    /// The effect is about to be performed.
    fn before(&self, site: Site);
    /// The effect was performed; its answer has not been used yet.
    fn done(&self, site: Site);
}

/// One per process, because a crash is. A cargo feature instead would be switched on for the product too as soon as both are built together.
static WITNESS: OnceLock<Box<dyn Witness>> = OnceLock::new();

/// Installs the process's witness. A second one is ignored: the first was there when effects began.
pub fn install_witness(witness: Box<dyn Witness>) {
    let _second = WITNESS.set(witness);
}

/// Performs one effect under its name.
pub async fn at<T>(site: Site, effect: impl Future<Output = T>) -> T {
    if let Some(witness) = WITNESS.get() {
        witness.before(site);
    }
    let outcome = effect.await;
    if let Some(witness) = WITNESS.get() {
        witness.done(site);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_site_has_its_own_name() {
        let names: BTreeSet<_> = Site::ALL.iter().map(|site| site.name()).collect();
        assert_eq!(names.len(), Site::ALL.len());
        assert!(names.iter().all(|name| name.contains('.') && !name.contains(':')));
    }

    #[tokio::test]
    async fn an_effect_returns_what_it_did() {
        assert_eq!(at(Site::KeyGenerate, async { 7 }).await, 7);
    }
}
