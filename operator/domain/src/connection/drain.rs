//! When a disconnect is done: what the HSMs and the gateway's replicas have confirmed (D12, INV-36).

/// What is known of one gateway replica about the generation that is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replica {
    /// It said that it has stopped using the generation and never will again.
    Stopped,
    /// It lives and has not said so yet.
    Serving,
    /// It has not said so, and its Lease has ended.
    Lost,
}

impl Replica {
    /// The replica whose Lease says that it has stopped through `stopped_through`, when `generation` is to end. What was said counts for
    /// ever, so a replica that died afterwards is not lost.
    pub fn of(stopped_through: Option<i64>, generation: i64, lease_ended: bool) -> Self {
        if stopped_through.is_some_and(|stopped| stopped >= generation) {
            Self::Stopped
        } else if lease_ended {
            Self::Lost
        } else {
            Self::Serving
        }
    }
}

/// How far a disconnect is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Drain {
    /// Nothing can use the generation any more: DISCONNECTED.
    Complete,
    /// A replica that lives may still reach an HSM that could not be told: still DISCONNECTING.
    Wait,
    /// DISCONNECTED, and HSMs still have to be told that the generation has ended.
    Unconfirmed {
        /// A replica went silent before it confirmed. If it runs and reaches one of those HSMs it may still use the generation there.
        replica_lost: bool,
    },
}

/// Whether DISCONNECTED may be said.
///
/// The HSM is the authority: when each one has dropped the generation durably, no gateway matters. One that could not be told counts as
/// closed when every replica has stopped; the loss of a replica is waited out and then said, because a disconnect must end even when the
/// cluster cannot be reached (CKS-62).
pub fn drain(untold_hsms: usize, replicas: &[Replica]) -> Drain {
    if untold_hsms == 0 {
        Drain::Complete
    } else if replicas.contains(&Replica::Serving) {
        Drain::Wait
    } else {
        Drain::Unconfirmed { replica_lost: replicas.contains(&Replica::Lost) }
    }
}

#[cfg(test)]
mod tests {
    use super::Replica::{Lost, Serving, Stopped};
    use super::*;
    use proptest::prelude::*;

    /// D12: (what the Lease says, the generation that ends, whether the Lease has ended) and what the replica is.
    #[test]
    fn a_replica_has_stopped_when_it_said_so_for_this_generation_or_a_later_one() {
        for (said, ending, ended, replica) in [
            (None, 7, false, Serving),
            (None, 7, true, Lost),
            (Some(6), 7, false, Serving),
            (Some(6), 7, true, Lost),
            (Some(7), 7, false, Stopped),
            (Some(7), 7, true, Stopped),
            (Some(8), 7, true, Stopped),
        ] {
            assert_eq!(Replica::of(said, ending, ended), replica, "{said:?} {ending} {ended}");
        }
    }

    /// D12, INV-36, CKS-62.
    #[test]
    fn a_disconnect_waits_for_living_replicas_only_and_only_while_an_hsm_was_not_told() {
        let unconfirmed = |replica_lost| Drain::Unconfirmed { replica_lost };
        for (untold, replicas, drained) in [
            (0, &[][..], Drain::Complete),
            (0, &[Serving, Lost], Drain::Complete),
            (1, &[], unconfirmed(false)),
            (1, &[Stopped, Stopped], unconfirmed(false)),
            (3, &[Stopped, Serving], Drain::Wait),
            (1, &[Lost, Serving], Drain::Wait),
            (1, &[Lost], unconfirmed(true)),
            (2, &[Stopped, Lost], unconfirmed(true)),
        ] {
            assert_eq!(drain(untold, replicas), drained, "{untold} {replicas:?}");
        }
    }

    proptest! {
        /// INV-36: DISCONNECTED without a warning means that nobody who lives can reach an HSM which still knows the generation.
        #[test]
        fn disconnected_without_a_lost_replica_means_that_nobody_can_use_the_generation(
            untold in 0..4usize, replicas in prop::collection::vec(prop::sample::select(vec![Stopped, Serving, Lost]), 0..5),
        ) {
            let all_stopped = replicas.iter().all(|replica| *replica == Stopped);
            match drain(untold, &replicas) {
                Drain::Complete => prop_assert_eq!(untold, 0),
                Drain::Unconfirmed { replica_lost: false } => prop_assert!(untold > 0 && all_stopped),
                Drain::Unconfirmed { replica_lost: true } => prop_assert!(untold > 0 && !all_stopped),
                Drain::Wait => prop_assert!(untold > 0 && replicas.contains(&Serving)),
            }
        }
    }
}
