//! Puts one HSM together and runs it until SIGTERM.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::cli::Cli;
use crate::hsm::Hsm;
use crate::listener::{PeerPortConfigs, Port, bind, listen};
use crate::store::committer::FailureHook;
use crate::store::volume::{Volume, VolumeOptions};
use crate::tls::certificate::from_pem;
use crate::tls::peer_port::{PodCredentials, peer_server, provisioning};
use crate::tls::pod_certificate::PodCertificate;
use crate::vault::password::ITERATIONS;
use crate::{admin, replication};

const SHARE_LENGTH: usize = 32;
/// Exit code after a failed volume (`EX_IOERR`).
const EXIT_STORAGE: i32 = 74;

/// Runs until SIGTERM or SIGINT. Clients' sessions are served on the runtime `sessions`, everything else on this one.
///
/// # Errors
/// Why it cannot start; the message says what to do.
pub(crate) async fn run(cli: Cli, sessions: &Handle) -> anyhow::Result<()> {
    // Before anything listens: a signal that comes early must end the process cleanly too.
    let stop = stop_signal()?;
    let pod = credentials(&cli)?;
    let options = VolumeOptions {
        data_dir: cli.data_dir.clone(),
        pod_name: cli.pod_name.clone(),
        secret_share: sealing_share(&cli.sealing_share)?,
        on_failure: stop_on_failure(),
    };
    let volume = Volume::open(&options)?;
    tracing::info!(pod_name = cli.pod_name, incarnation = volume.incarnation, "volume open");
    if cli.password_iterations < ITERATIONS {
        let (set, advised) = (cli.password_iterations, ITERATIONS);
        tracing::warn!(set, advised, "--password-iterations: passwords are hashed less often than is advised");
    }
    let hsm = Arc::new(Hsm::load(volume, cli.pod_name.clone(), pod, cli.password_iterations).await?);
    let configs = peer_port_configs(&hsm)?;
    let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
    let admin = bind(cli.admin_listen).await.with_context(|| format!("failed to listen on {}", cli.admin_listen))?;
    let peers = bind(cli.peer_listen).await.with_context(|| format!("failed to listen on {}", cli.peer_listen))?;
    let clients =
        bind(cli.client_listen).await.with_context(|| format!("failed to listen on {}", cli.client_listen))?;
    tasks.spawn(admin::serve(Arc::clone(&hsm), admin, shutdown.clone()));
    tasks.spawn(listen(Arc::clone(&hsm), peers, Port::Peer(configs), shutdown.clone(), Handle::current()));
    replication::compare_at_start(&hsm).await?;
    let clients = {
        let _entered = sessions.enter();
        TcpListener::from_std(clients.into_std()?)?
    };
    let slow = Handle::current();
    tasks.spawn_on(listen(Arc::clone(&hsm), clients, Port::Client, shutdown.clone(), slow), sessions);
    tasks.spawn(replication::run(Arc::clone(&hsm), shutdown.clone()));
    tracing::info!(state = ?hsm.state(), hsm_id = hsm.member().hsm_id(), "serving");
    stop.await;
    tracing::info!("stopping: requests in flight are answered first");
    shutdown.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}

fn credentials(cli: &Cli) -> anyhow::Result<PodCredentials> {
    let operator_ca = read(&cli.operator_ca)?;
    let operator_ca = from_pem(&operator_ca).with_context(|| format!("in {}", cli.operator_ca.display()))?;
    let certificate = PodCertificate::new(&read(&cli.pod_certificate)?, &read(&cli.pod_key)?, operator_ca.clone())
        .with_context(|| format!("failed to use {} with its key", cli.pod_certificate.display()))?;
    Ok(PodCredentials { certificate: Arc::new(certificate), operator_ca })
}

fn read(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let content = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(Zeroizing::new(content))
}

fn sealing_share(path: &Path) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let share = read(path)?;
    if share.len() != SHARE_LENGTH {
        bail!(
            "failed to use the sealing share in {}: it has {} bytes and must have {SHARE_LENGTH}. Restore the Secret of \
             this cluster; without it the volume cannot be opened",
            path.display(),
            share.len()
        );
    }
    Ok(share)
}

fn peer_port_configs(hsm: &Arc<Hsm>) -> anyhow::Result<PeerPortConfigs> {
    let identity = hsm.identity.row();
    let membership = Arc::clone(&hsm.membership);
    let admission = Arc::new(move |key: &[u8; 32]| membership.load().peer_by_identity(key).is_some());
    Ok(PeerPortConfigs {
        provisioning: provisioning(&hsm.pod).context("failed to use the pod's certificate")?,
        peer: peer_server(&identity.identity_key, &identity.identity_certificate, admission)?,
    })
}

/// INV-09: after a failed write nothing is certain any more. The next start reads and verifies everything anew.
fn stop_on_failure() -> FailureHook {
    Arc::new(|message| {
        tracing::error!("{message}");
        std::process::exit(EXIT_STORAGE);
    })
}

/// Catches SIGTERM and SIGINT from now on; the returned future ends with the first of them.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
