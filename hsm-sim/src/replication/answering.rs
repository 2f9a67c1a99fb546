//! The answering side: what an HSM of the roster may ask (ALPN keystores-peer/1).

use std::fmt::Arguments;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use hsm_protocol::limits::{MAX_PAGE, MAX_PULL};
use hsm_protocol::message as m;
use hsm_protocol::{Command, Frame, FrameHeader, KeyId, ReturnCode, signing};
use prost::Message;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::secrets::{Ephemeral, Exchange};
use crate::dispatch::{count, reply};
use crate::hsm::Hsm;
use crate::refusals::{Refused, command_name};
use crate::session::{Serve, refusal};
use crate::tls::TlsError;
use crate::tls::certificate::{signed_by, spki_sha256};
use crate::vault::{Outcome, fixed};

/// Serves one peer.
pub(crate) struct PeerPort {
    hsm: Arc<Hsm>,
    address: SocketAddr,
    certificate: Vec<u8>,
    identity: [u8; 32],
    exporter: [u8; 32],
}

impl PeerPort {
    /// A handler for the peer at this address with this identity certificate, on a TLS session with this exporter.
    ///
    /// # Errors
    /// [`TlsError`] if the certificate cannot be read.
    pub(crate) fn new(
        hsm: Arc<Hsm>,
        address: SocketAddr,
        certificate: &[u8],
        exporter: [u8; 32],
    ) -> Result<Self, TlsError> {
        Ok(Self { hsm, address, identity: spki_sha256(certificate)?, certificate: certificate.to_vec(), exporter })
    }

    /// The roster's entry for the peer, looked up for every request: a peer that was taken off the roster is out.
    fn peer(&self) -> Outcome<m::RosterMember> {
        self.hsm.member().peer_by_identity(&self.identity).ok_or(ReturnCode::RoleDenied)
    }

    fn active(&self) -> Outcome<()> {
        if self.hsm.state() == m::HsmState::Active { Ok(()) } else { Err(ReturnCode::NotActive) }
    }

    fn hello(&self, request: &m::PeerHelloRequest) -> Outcome<m::PeerHelloReply> {
        let (peer, member) = (self.peer()?, self.hsm.member());
        if request.hsm_id != peer.hsm_id || request.cluster_id != member.cluster_id() {
            return Err(ReturnCode::InvalidArgument);
        }
        Ok(m::PeerHelloReply {
            hsm_id: member.hsm_id().to_owned(),
            cluster_id: member.cluster_id().to_owned(),
            availability_zone: member.availability_zone().to_owned(),
            state: member.state as i32,
            incarnation: self.hsm.incarnation,
            key_count: self.hsm.keys.counts().0,
            key_set_digest: self.hsm.keys.set_digest().to_vec(),
        })
    }

    /// Wraps the cluster's secrets to a key that the peer's identity signed for this very connection.
    fn cluster_secrets(&self, request: &m::ClusterSecretsRequest) -> Outcome<m::ClusterSecretsReply> {
        self.active()?;
        let (peer, member, cluster) = (self.peer()?, self.hsm.member(), self.hsm.cluster()?);
        let own_key = &request.ephemeral_public_key;
        let statement = signing::join_key(&self.exporter, member.cluster_id(), &peer.hsm_id, own_key);
        if !signed_by(&self.certificate, &statement, &request.signature) {
            let why = format_args!("joining key of {}: its identity did not sign it for this connection", peer.hsm_id);
            self.hsm.refusals.note(Refused::Signature, Some(&self.address), why);
            return Err(ReturnCode::InvalidArgument);
        }
        let row = cluster.row();
        let secrets = m::ClusterSecrets {
            cluster_key_pkcs8: row.cluster_key.clone(),
            cluster_certificate_der: row.cluster_certificate.clone(),
            trust_anchor_der: row.trust_anchor.clone(),
            masking_key: row.masking_key.clone(),
            cluster_id: member.cluster_id().to_owned(),
        };
        let content = Zeroizing::new(secrets.encode_to_vec());
        let own = Ephemeral::generate()?;
        let ephemeral_public_key = own.public.clone();
        let exchange = Exchange {
            exporter: &self.exporter,
            cluster_id: member.cluster_id(),
            joiner: &peer.hsm_id,
            giver: member.hsm_id(),
        };
        let wrapped = exchange.wrap(own, &request.ephemeral_public_key, &content)?;
        tracing::info!(joiner = peer.hsm_id, "cluster secrets handed to a joining HSM");
        Ok(m::ClusterSecretsReply { ephemeral_public_key, wrapped })
    }

    fn snapshot_users(&self) -> Outcome<m::SnapshotUsersReply> {
        self.active()?;
        let (hsm, cluster) = (&self.hsm, self.hsm.cluster()?);
        let users = hsm.users.all().into_iter().map(|user| {
            let (failures, locked) = hsm.users.lock_state(&user);
            user.snapshot(failures, locked)
        });
        let users = m::UserSnapshot { users: users.collect() };
        let control = hsm.control.row();
        let control = m::ControlSnapshot {
            fence: control.fence,
            fence_holder: control.fence_holder,
            claim_holder: control.claim_holder,
            stores: hsm.delegates.entries(),
        };
        Ok(m::SnapshotUsersReply {
            sealed_users: cluster.masking.seal_snapshot(&Zeroizing::new(users.encode_to_vec()))?,
            sealed_control: cluster.masking.seal_snapshot(&control.encode_to_vec())?,
        })
    }

    fn key_digests(&self, request: &m::KeyDigestsRequest) -> Outcome<m::KeyDigestsReply> {
        let after = match &request.after[..] {
            [] => None,
            id => Some(KeyId(fixed(id)?)),
        };
        let limit = usize::try_from(request.limit.clamp(1, MAX_PAGE)).unwrap_or(1);
        let (digests, truncated) = self.hsm.keys.digests(after, limit);
        Ok(m::KeyDigestsReply { digests, truncated })
    }

    fn pull_keys(&self, request: &m::PullKeysRequest) -> Outcome<m::PullKeysReply> {
        self.active()?;
        if request.key_ids.len() > MAX_PULL {
            return Err(ReturnCode::InvalidArgument);
        }
        let cluster = self.hsm.cluster()?;
        let mut masked = Vec::with_capacity(request.key_ids.len());
        for id in &request.key_ids {
            if let Some((key, _)) = self.hsm.keys.find(&KeyId(fixed(id)?)) {
                masked.push(cluster.masking.mask(&key)?);
            }
        }
        Ok(m::PullKeysReply { masked })
    }

    fn watermark(&self, request: &m::WatermarkRequest) -> m::WatermarkReply {
        let marks = &self.hsm.replication.marks;
        let seen = marks.witness(self.identity, request.own);
        m::WatermarkReply { seen, own: marks.told(&self.identity, self.hsm.store.sequence()) }
    }
}

impl Serve for PeerPort {
    fn answer_now(&self, _: &FrameHeader, _: &[u8], _: &mut BytesMut) -> bool {
        false
    }

    async fn answer(self: Arc<Self>, frame: Frame, _: Option<Instant>) -> BytesMut {
        let frame = &frame;
        if let Err(code) = self.peer() {
            let name = command_name(frame.header.command);
            let why = format_args!("{name}: the roster does not list the peer");
            self.hsm.refusals.note(Refused::Command, Some(&self.address), why);
            return refusal(frame, code);
        }
        let answer = match Command::from_u16(frame.header.command) {
            Some(Command::PeerHello) => reply(frame, |request| self.hello(&request)),
            Some(Command::ClusterSecrets) => reply(frame, |request| self.cluster_secrets(&request)),
            Some(Command::SnapshotUsers) => reply(frame, |_: m::SnapshotUsersRequest| self.snapshot_users()),
            Some(Command::KeyDigests) => reply(frame, |request| self.key_digests(&request)),
            Some(Command::PullKeys) => reply(frame, |request| self.pull_keys(&request)),
            Some(Command::Watermark) => reply(frame, |request| Outcome::Ok(self.watermark(&request))),
            _ => refusal(frame, ReturnCode::UnknownCommand),
        };
        count(&self.hsm, self.address, &frame.header, &answer, true);
        answer
    }

    fn not_a_request(&self, why: Arguments<'_>) {
        self.hsm.refusals.note(Refused::Frame, Some(&self.address), why);
    }
}
