//! Client of an HSM cluster: certificates, nested TLS, sessions, the data-plane pool, provisioning.
//!
//! Knows the wire protocol and nothing of Kubernetes; the operator never links the simulator, only this.
//!
//! May import of this workspace: `hsm-protocol`. Never imports: `kube`, `k8s-openapi`, `serde`, `redb`. (A real HSM could
//! stand at the other end.)

pub mod command;
pub mod pki;
pub mod pool;
pub mod provisioning;
pub mod tls;

mod endpoint;
mod error;
mod session;

pub use command::OpId;
pub use endpoint::HsmEndpoint;
pub use error::HsmError;
pub use hsm_protocol::labels::{KMS_USER, OFFICER};
pub use hsm_protocol::{ClientRole, KeyId, ReturnCode};
pub use pool::{Pool, PoolError};
pub use provisioning::ProvisioningSession;
pub use session::{ConnectError, HsmIdentity, Session};
pub use tls::{ClientIdentity, TrustAnchor};
