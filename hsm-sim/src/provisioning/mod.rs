//! Port 2224, provisioning: from an empty volume to a member of the cluster (D7, D18). Nothing about keys or users.
//!
//! ```text
//! BLANK --Assign--> ASSIGNED --Csr, Initialize--> INITIALIZED --PRECO's password change (port 2223)--> ACTIVE
//!                       └------Join--> JOINING --digests equal--------------------------------------> ACTIVE
//! ```
//! Invariant (INV-08): a volume that has a cluster is never initialised again, and none is while a peer has one.

pub(crate) mod assign;
pub(crate) mod csr;
pub(crate) mod hello;
pub(crate) mod initialize;
pub(crate) mod join;
pub(crate) mod renew;

use std::sync::Arc;

use bytes::BytesMut;
use hsm_protocol::message as m;
use hsm_protocol::{Command, Frame, FrameHeader, ReturnCode};
use tokio::time::Instant;

use crate::dispatch::{change, code_of, reply};
use crate::hsm::Hsm;
use crate::session::{Serve, refusal};

/// Serves one provisioning session.
pub(crate) struct ProvisioningPort {
    hsm: Arc<Hsm>,
}

impl ProvisioningPort {
    /// A handler.
    pub(crate) fn new(hsm: Arc<Hsm>) -> Self {
        Self { hsm }
    }
}

impl Serve for ProvisioningPort {
    fn answer_now(&self, _: &FrameHeader, _: &[u8], _: &mut BytesMut) -> bool {
        false
    }

    async fn answer(self: Arc<Self>, frame: Frame, _: Option<Instant>) -> BytesMut {
        let (hsm, frame) = (&self.hsm, &frame);
        let Some(command) = Command::from_u16(frame.header.command) else {
            return refusal(frame, ReturnCode::UnknownCommand);
        };
        let answer = match command {
            Command::ProvisioningHello => reply(frame, |_: m::ProvisioningHelloRequest| hello::run(hsm)),
            Command::Assign => change(frame, async |request| assign::assign(hsm, &request).await).await,
            Command::SetRoster => change(frame, async |request| assign::set_roster(hsm, &request).await).await,
            Command::Csr => change(frame, async |_: m::CsrRequest| csr::run(hsm).await).await,
            Command::Initialize => change(frame, async |request| initialize::run(hsm, request).await).await,
            Command::RenewPodCertificate => reply(frame, |request| renew::run(hsm, &request)),
            Command::Join => change(frame, async |_: m::JoinRequest| join::run(hsm).await).await,
            _ => refusal(frame, ReturnCode::UnknownCommand),
        };
        hsm.metrics.count(command, code_of(&answer));
        answer
    }
}
