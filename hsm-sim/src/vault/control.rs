//! Fence (P5) and claim (INV-44) of this HSM.

use std::sync::Mutex;

use hsm_protocol::{ClientRole, ReturnCode};

use super::Outcome;
use super::rows::ControlRow;

/// The control record. Changes are stored by the caller first and published then.
pub(crate) struct Control {
    row: Mutex<ControlRow>,
}

impl Control {
    /// As read from the volume.
    pub(crate) fn new(row: ControlRow) -> Self {
        Self { row: Mutex::new(row) }
    }

    /// The record.
    pub(crate) fn row(&self) -> ControlRow {
        self.row.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Takes over a stored record.
    pub(crate) fn publish(&self, row: ControlRow) {
        *self.row.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = row;
    }

    /// Refuses a control command of a deposed leader (INV-70). Controllers must present the fence that was handed out
    /// last, once there is one; an owner with a tool of their own holds none and presents 0.
    ///
    /// # Errors
    /// `FenceTooLow`.
    pub(crate) fn check_fence(&self, role: ClientRole, presented: u64) -> Outcome<()> {
        let allowed = presented == self.row().fence || (presented == 0 && role == ClientRole::Owner);
        if allowed { Ok(()) } else { Err(ReturnCode::FenceTooLow) }
    }

    /// The record with the next fence.
    pub(crate) fn next_fence(&self, holder: &str) -> ControlRow {
        let row = self.row();
        ControlRow { fence: row.fence + 1, fence_holder: holder.to_owned(), ..row }
    }

    /// The record claimed by `holder`; `None` if it is already.
    ///
    /// # Errors
    /// `ClaimHeld` if somebody else has it.
    pub(crate) fn claimed(&self, holder: &str) -> Outcome<Option<ControlRow>> {
        let row = self.row();
        match row.claim_holder.as_str() {
            "" => Ok(Some(ControlRow { claim_holder: holder.to_owned(), ..row })),
            same if same == holder => Ok(None),
            _ => Err(ReturnCode::ClaimHeld),
        }
    }

    /// The record released by `holder`; `None` if it is already.
    ///
    /// # Errors
    /// `ClaimHeld` if somebody else has it.
    pub(crate) fn released(&self, holder: &str) -> Outcome<Option<ControlRow>> {
        let row = self.row();
        match row.claim_holder.as_str() {
            "" => Ok(None),
            same if same == holder => Ok(Some(ControlRow { claim_holder: String::new(), ..row })),
            _ => Err(ReturnCode::ClaimHeld),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P5, INV-70: (fence handed out last, role, presented) and whether it passes.
    #[test]
    fn only_the_last_fence_passes_and_only_an_owner_may_have_none() {
        for (last, role, presented, passes) in [
            (0, ClientRole::Controllers, 0, true),
            (2, ClientRole::Controllers, 2, true),
            (2, ClientRole::Controllers, 1, false),
            (2, ClientRole::Controllers, 0, false),
            (2, ClientRole::Controllers, 3, false),
            (2, ClientRole::Owner, 0, true),
            (2, ClientRole::Owner, 1, false),
            (2, ClientRole::Gateway, 0, false),
        ] {
            let control = Control::new(ControlRow { fence: last, ..Default::default() });
            assert_eq!(control.check_fence(role, presented).is_ok(), passes, "{last} {role:?} {presented}");
        }
    }

    /// INV-44.
    #[test]
    fn a_claim_is_held_by_one_store_and_given_back_by_it_only() {
        let control = Control::new(ControlRow::default());
        let row = control.claimed("cks-1").unwrap().unwrap();
        control.publish(row);
        assert_eq!(control.claimed("cks-1"), Ok(None));
        assert_eq!(control.claimed("cks-2"), Err(ReturnCode::ClaimHeld));
        assert_eq!(control.released("cks-2"), Err(ReturnCode::ClaimHeld));
        let row = control.released("cks-1").unwrap().unwrap();
        control.publish(row);
        assert_eq!(control.released("cks-1"), Ok(None));
        assert!(control.claimed("cks-2").unwrap().is_some());
    }
}
