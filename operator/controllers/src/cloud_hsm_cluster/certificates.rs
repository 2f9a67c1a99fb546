//! Keeps the certificates of one cluster: controllers' and gateway's towards its HSMs, and those of its pods' provisioning listeners.
//!
//! What there is is noted also when renewing it fails, so that the condition tells of it.

use std::time::{Duration, SystemTime};

use hsm_client::pki::CertificateAuthority;
use hsm_initialization::custody::entry::CERTIFICATE;
use hsm_initialization::{Observed, ObservedHsm, SecretName};
use kube::api::ListParams;
use kube::runtime::reflector::ObjectRef;
use kube::{Api, ResourceExt};
use operator_api::{CloudHsmCluster, ConnectionState, CustomKeyStore};
use operator_domain::Timestamp;
use operator_domain::certificate::{Handover, Registration, Term};

use super::failure::ClusterError;
use super::initialize::ClusterProcedure;
use super::status::Findings;
use crate::certificate::expiry::{CertificateUse, Found};
use crate::certificate::gateway_client::{self, GatewayClient};
use crate::certificate::{CertificateError, client, pods, stored_end, time_of, until};
use crate::context::Context;
use crate::custom_key_store::members;
use crate::read::ReadError;
use crate::report::{Controller, chain};

/// Pause while HSMs are to learn of a key: the stores' controller is told at once, and usually done within this time.
const REGISTERING: Duration = Duration::from_secs(2);
/// Longest pause while they do not: each look asks every HSM (INV-76).
const UNREGISTERED: Duration = Duration::from_secs(300);

/// The certificates of one cluster, at one time.
pub(super) struct Certificates<'a> {
    pub(super) context: &'a Context,
    pub(super) cluster: &'a CloudHsmCluster,
    pub(super) cluster_id: &'a str,
    pub(super) procedure: &'a ClusterProcedure<'a>,
    pub(super) now: SystemTime,
}

impl Certificates<'_> {
    /// Does what is due, and notes in `findings` what there is and when to look again. A failure of one kind does not keep the others.
    pub(super) async fn keep(&self, observed: &Observed, findings: &mut Findings) -> Result<(), ClusterError> {
        if !observed.secrets.contains(&SecretName::ControllersClient) {
            return Ok(());
        }
        let kept = self.renew(observed, findings).await;
        if kept.is_err() {
            self.note_stored(observed, findings).await;
        }
        let gauge = &self.context.metrics.certificate_ends;
        self.context.certificate_ends.note(gauge, self.cluster_id, &findings.certificates);
        kept
    }

    async fn renew(&self, observed: &Observed, findings: &mut Findings) -> Result<(), ClusterError> {
        let clients = self.clients(findings).await;
        let pods = self.pods(observed, findings).await;
        clients.and(pods)
    }

    async fn clients(&self, findings: &mut Findings) -> Result<(), ClusterError> {
        let customer = self.procedure.customer_authority().await?;
        let controllers = self.controllers(&customer, findings).await;
        let gateway = self.gateway(&customer, findings).await;
        controllers.and(gateway)
    }

    /// What is stored, where renewing did not get as far as to tell. What cannot be read now has failed to be renewed as well.
    async fn note_stored(&self, observed: &Observed, findings: &mut Findings) {
        let (namespaces, terms) = (self.context.namespaces(), self.terms());
        let (pods, controllers) =
            (SecretName::Pods.of(self.cluster_id), SecretName::ControllersClient.of(self.cluster_id));
        let gateway = gateway_client::name(self.cluster_id);
        let own = CERTIFICATE.to_owned();
        let mut stored = vec![
            (
                CertificateUse::ControllersClient,
                &namespaces.vault,
                &controllers,
                own.clone(),
                &controllers,
                terms.hsm_clients,
            ),
            (CertificateUse::GatewayClient, &namespaces.gateway, &gateway, own, &gateway, terms.hsm_clients),
        ];
        for pod in observed.plan.pods.iter().map(|pod| &pod.pod_name) {
            stored.push((CertificateUse::HsmPod, &namespaces.hsm, &pods, format!("{pod}.crt"), pod, terms.hsm_pods));
        }
        let secrets = self.context.secrets(Controller::CloudHsmCluster);
        for (usage, namespace, secret, entry, name, term) in stored {
            if findings.certificates.iter().any(|found| found.usage == usage && found.name == *name) {
                continue;
            }
            if let Ok(Some(end)) = stored_end(&secrets, namespace, secret, &entry).await {
                self.note(findings, usage, name, end, term);
            }
        }
    }

    async fn controllers(&self, authority: &CertificateAuthority, findings: &mut Findings) -> Result<(), ClusterError> {
        let (namespace, name) = (&self.context.namespaces().vault, SecretName::ControllersClient.of(self.cluster_id));
        let (secrets, term) = (self.context.secrets(Controller::CloudHsmCluster), self.terms().hsm_clients);
        let end = client::renew(&secrets, namespace, &name, authority, term, self.now).await?;
        if let Some(end) = end {
            self.note(findings, CertificateUse::ControllersClient, &name, end, term);
        }
        Ok(())
    }

    async fn gateway(&self, authority: &CertificateAuthority, findings: &mut Findings) -> Result<(), ClusterError> {
        let secrets = self.context.secrets(Controller::CloudHsmCluster);
        let term = self.terms().hsm_clients;
        let client = GatewayClient {
            secrets: &secrets,
            namespace: &self.context.namespaces().gateway,
            cluster_id: self.cluster_id,
            authority,
            term,
            now: self.now,
        };
        let outcome = client.advance(async |key| self.registration(key).await).await?;
        self.note(findings, CertificateUse::GatewayClient, &gateway_client::name(self.cluster_id), outcome.end, term);
        let again = match outcome.step {
            Handover::Rest(until_then) => until(until_then, self.now),
            Handover::AwaitRegistration | Handover::Reissue => (outcome.waiting / 4).clamp(REGISTERING, UNREGISTERED),
            Handover::Promote => Duration::ZERO,
            Handover::MakeNext | Handover::ForgetEnded => {
                self.wake_stores().await?;
                REGISTERING
            }
        };
        findings.look_again_within(again);
        Ok(())
    }

    async fn pods(&self, observed: &Observed, findings: &mut Findings) -> Result<(), ClusterError> {
        let (namespace, name) = (&self.context.namespaces().hsm, SecretName::Pods.of(self.cluster_id));
        let (secrets, term) = (self.context.secrets(Controller::CloudHsmCluster), self.terms().hsm_pods);
        let authority = self.procedure.operator_authority().await?;
        let names: Vec<_> = observed.plan.pods.iter().map(|pod| pod.pod_name.clone()).collect();
        let stored = pods::renew(&secrets, namespace, &name, &names, &authority, term, self.now).await?;
        for pod in &stored {
            self.note(findings, CertificateUse::HsmPod, &pod.pod_name, pod.end, term);
        }
        for hsm in &observed.hsms {
            let own = stored.iter().find(|pod| pod.pod_name == hsm.pod.pod_name);
            let (Some(own), Some(volume)) = (own, &hsm.volume) else { continue };
            if own.is_missing_at(&volume.pod_certificate_fingerprint) {
                self.bring(hsm, &own.certificate, findings).await;
            }
        }
        Ok(())
    }

    /// The pod takes it over at once. If it cannot be reached now, the next look shows it, and a restarted pod mounts it anyway; if it
    /// refuses, it holds another key than the Secret.
    async fn bring(&self, hsm: &ObservedHsm, certificate: &str, findings: &mut Findings) {
        if self.context.leader.check().is_err() {
            return;
        }
        let pod = &hsm.pod.pod_name;
        let session = match self.procedure.provisioning(hsm).await {
            Ok(session) => session,
            Err(error) => {
                tracing::warn!(pod, error = chain(&error), "failed to bring a pod its renewed certificate");
                return findings.look_again_within(REGISTERING);
            }
        };
        if let Err(error) = session.renew_pod_certificate(certificate).await {
            tracing::warn!(pod, error = chain(&error), "failed to bring a pod its renewed certificate");
            if error.code().is_some() {
                findings.refusing_pods.push(pod.clone());
            } else {
                findings.look_again_within(REGISTERING);
            }
        }
    }

    fn note(&self, findings: &mut Findings, usage: CertificateUse, name: &str, end: Timestamp, term: Term) {
        findings.certificates.push(Found::new(usage, name, end, term, time_of(self.now)));
        findings.look_again_within(until(term.renewal_of(end), self.now).max(REGISTERING));
    }

    fn terms(&self) -> crate::context::CertificateTerms {
        self.context.settings.certificates
    }

    /// On how many HSMs of every connected store a key is registered. A store that is CONNECTING may have read the keys before this one was
    /// made, so it counts as one that lacks it.
    async fn registration(&self, key: &[u8; 32]) -> Result<Registration, CertificateError> {
        let active: Vec<_> = members(self.cluster).into_iter().filter(|member| member.active).collect();
        let mut least = Registration::Complete;
        for store in self.stores().await? {
            let status = store.status.unwrap_or_default();
            let generation = u64::try_from(status.connection_generation.unwrap_or_default()).unwrap_or_default();
            let found = match status.connection_state {
                Some(ConnectionState::Connecting) => Registration::Missing,
                Some(ConnectionState::Connected) => {
                    let sessions =
                        self.context.connections.sessions(&store.metadata.uid.unwrap_or_default(), generation);
                    let admits =
                        |hsm_id: &String| sessions.get(hsm_id).is_some_and(|kept| kept.delegates.contains(key));
                    Registration::of(active.len(), active.iter().filter(|member| admits(&member.hsm_id)).count())
                }
                Some(ConnectionState::Disconnecting | ConnectionState::Disconnected | ConnectionState::Failed)
                | None => {
                    continue;
                }
            };
            least = least.min(found);
        }
        Ok(least)
    }

    async fn wake_stores(&self) -> Result<(), ClusterError> {
        for store in self.stores().await? {
            self.context.connections.attend(ObjectRef::from_obj(&store));
        }
        Ok(())
    }

    /// The stores of this cluster, by a quorum read: a key is put to use by what they say, which cannot be taken back (INV-71).
    async fn stores(&self) -> Result<Vec<CustomKeyStore>, CertificateError> {
        let namespace = self.cluster.namespace().unwrap_or_default();
        let api = Api::<CustomKeyStore>::namespaced(self.context.client.clone(), &namespace);
        let all = api.list(&ListParams::default()).await.map_err(ReadError::of("the CustomKeyStores"))?;
        let name = self.cluster.name_any();
        Ok(all.items.into_iter().filter(|store| store.spec.cloud_hsm_cluster_ref.name == name).collect())
    }
}
