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

use std::fmt::Arguments;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use hsm_protocol::message as m;
use hsm_protocol::{Command, Frame, FrameHeader, ReturnCode};
use tokio::time::Instant;

use crate::dispatch::{change, count, reply};
use crate::hsm::Hsm;
use crate::refusals::Refused;
use crate::session::{Serve, refusal};

/// Serves one provisioning session.
pub(crate) struct ProvisioningPort {
    hsm: Arc<Hsm>,
    address: SocketAddr,
}

impl ProvisioningPort {
    /// A handler for the client at this address.
    pub(crate) fn new(hsm: Arc<Hsm>, address: SocketAddr) -> Self {
        Self { hsm, address }
    }
}

impl Serve for ProvisioningPort {
    fn answer_now(&self, _: &FrameHeader, _: &[u8], _: &mut BytesMut) -> bool {
        false
    }

    async fn answer(self: Arc<Self>, frame: Frame, _: Option<Instant>) -> BytesMut {
        let (hsm, frame) = (&self.hsm, &frame);
        let answer = match Command::from_u16(frame.header.command) {
            Some(Command::ProvisioningHello) => reply(frame, |_: m::ProvisioningHelloRequest| hello::run(hsm)),
            Some(Command::Assign) => change(frame, async |request| assign::assign(hsm, &request).await).await,
            Some(Command::SetRoster) => change(frame, async |request| assign::set_roster(hsm, &request).await).await,
            Some(Command::Csr) => change(frame, async |_: m::CsrRequest| csr::run(hsm).await).await,
            Some(Command::Initialize) => change(frame, async |request| initialize::run(hsm, request).await).await,
            Some(Command::RenewPodCertificate) => reply(frame, |request| renew::run(hsm, &request)),
            Some(Command::Join) => change(frame, async |_: m::JoinRequest| join::run(hsm).await).await,
            _ => refusal(frame, ReturnCode::UnknownCommand),
        };
        count(hsm, self.address, &frame.header, &answer, true);
        answer
    }

    fn not_a_request(&self, why: Arguments<'_>) {
        self.hsm.refusals.note(Refused::Frame, Some(&self.address), why);
    }
}
