//! Every place where a controller changes the world outside its own memory, by name, and the hook that can stop the process there.
//!
//! Recovery after a crash is a property of each single effect (INV-21, INV-22): the tests kill the leader before an effect, after the effect was
//! done but before its answer was seen (a lost reply, INV-23), and after the answer. For that every effect must have a name and pass one point.
//! The hook exists only with the cargo feature `crash-points`; without it [`at`] is the effect itself.

use std::{fmt, future::Future};

macro_rules! sites {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// One named external effect.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Site { $($(#[$doc])* $variant,)+ }

        impl Site {
            /// Every site, in the order in which a store and a key come to life.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in `KEYSTORE_CRASH_AT`.
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
    /// Any status write of a store.
    StoreStatus = "store.status",
    /// DELETE of a claim by the store's finalizer.
    StoreClaimRelease = "store.claim-release",
    /// `AcquireFence` on one HSM (P5).
    ConnectFence = "connect.fence",
    /// `ClaimCluster` on one HSM (INV-44).
    ConnectClaimCluster = "connect.claim-cluster",
    /// The rotation's intent in the ring (P1.2).
    ConnectRingIntent = "connect.ring-intent",
    /// A `kmsuser` login with the epoch that an HSM reports (P1.3).
    ConnectLogin = "connect.login",
    /// `ChangePassword` on one HSM (P1.4).
    ConnectChangePassword = "connect.change-password",
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
    /// `SetKeyState` on one HSM (INV-49).
    KeyState = "key.state",
    /// Any status write of a key (P2.7).
    KeyStatus = "key.status",
    /// A status write of an alias.
    AliasStatus = "alias.status",
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Performs one effect under its name. With the feature `crash-points`, and `KEYSTORE_CRASH_AT` naming this site, the process aborts at the
/// wanted moment; otherwise this is `effect.await`.
pub async fn at<T>(site: Site, effect: impl Future<Output = T>) -> T {
    #[cfg(feature = "crash-points")]
    crash::before(site);
    let outcome = effect.await;
    #[cfg(feature = "crash-points")]
    crash::done(site);
    #[cfg(not(feature = "crash-points"))]
    let _ = site;
    outcome
}

#[cfg(feature = "crash-points")]
mod crash {
    //! `KEYSTORE_CRASH_AT=site[:before|lost-reply|after][:n]`: abort at the n-th (default first) passage of a site.

    use super::Site;
    use std::{
        str::FromStr,
        sync::{
            OnceLock,
            atomic::{AtomicU32, Ordering},
        },
        time::Duration,
    };

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(super) enum Moment {
        Before,
        LostReply,
        After,
    }

    #[derive(Debug, PartialEq, Eq)]
    pub(super) struct Plan {
        pub(super) site: Site,
        pub(super) moment: Moment,
        pub(super) passage: u32,
    }

    /// How long a caller may use an answer before the process dies at the moment `after`: enough to start its next step.
    const AFTER: Duration = Duration::from_millis(20);

    static PASSAGES: AtomicU32 = AtomicU32::new(0);

    fn plan() -> Option<&'static Plan> {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        PLAN.get_or_init(|| std::env::var("KEYSTORE_CRASH_AT").ok().and_then(|text| text.parse().ok())).as_ref()
    }

    pub(super) fn before(site: Site) {
        let Some(plan) = plan().filter(|plan| plan.site == site) else { return };
        let passage = PASSAGES.fetch_add(1, Ordering::SeqCst) + 1;
        if plan.moment == Moment::Before && passage == plan.passage {
            die(plan);
        }
    }

    pub(super) fn done(site: Site) {
        let Some(plan) = plan().filter(|plan| plan.site == site) else { return };
        if PASSAGES.load(Ordering::SeqCst) != plan.passage {
            return;
        }
        match plan.moment {
            Moment::Before => {}
            Moment::LostReply => die(plan),
            Moment::After => {
                std::thread::spawn(move || {
                    std::thread::sleep(AFTER);
                    die(plan);
                });
            }
        }
    }

    fn die(plan: &Plan) {
        eprintln!("crash point reached: {plan:?}");
        std::process::abort();
    }

    impl FromStr for Plan {
        type Err = ();

        fn from_str(text: &str) -> Result<Self, ()> {
            let mut parts = text.split(':');
            let name = parts.next().ok_or(())?;
            let site = Site::ALL.iter().copied().find(|site| site.name() == name).ok_or(())?;
            let moment = match parts.next() {
                None | Some("before") => Moment::Before,
                Some("lost-reply") => Moment::LostReply,
                Some("after") => Moment::After,
                Some(_) => return Err(()),
            };
            let passage = parts.next().map_or(Ok(1), str::parse).map_err(|_| ())?;
            if parts.next().is_some() { Err(()) } else { Ok(Self { site, moment, passage }) }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_plan_names_a_site_a_moment_and_a_passage() {
            let plan = |text: &str| text.parse::<Plan>();
            let want = |moment, passage| Ok(Plan { site: Site::KeyGenerate, moment, passage });
            assert_eq!(plan("key.generate"), want(Moment::Before, 1));
            assert_eq!(plan("key.generate:lost-reply"), want(Moment::LostReply, 1));
            assert_eq!(plan("key.generate:after:3"), want(Moment::After, 3));
            for wrong in ["", "key.unknown", "key.generate:later", "key.generate:after:x", "key.generate:after:1:2"] {
                assert_eq!(plan(wrong), Err(()), "{wrong}");
            }
        }
    }
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
