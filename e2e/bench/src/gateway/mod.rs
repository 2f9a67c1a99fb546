//! A gateway as a process: the product's library with a fixed key index, over plain HTTP and over HTTPS at once.

mod fixed;
mod knowledge;
mod outside;
mod seal;
mod settings;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use audit::{Gathered, LineWriter};
use hsm_client::Pool;
use kms_gateway::crypto::StoreCrypto;
use kms_gateway::{Cores, Gateway, Handshake, HsmStore, Metrics, Parts, ServingCertificate, ServingPlace};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

pub(crate) use knowledge::{AccessKey, REGION};
pub(crate) use settings::{Addresses, Hsms, Layout, Settings, Work};

use crate::child;
use outside::{AlwaysAllowed, NoCluster, OneStore};

/// How long the sessions to the HSMs may take to open.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until the parent ends it.
///
/// # Errors
/// When it cannot start.
pub(crate) fn serve() -> Result<()> {
    let settings: Settings = child::settings()?;
    let acceptor = Builder::new_current_thread().enable_all().build()?;
    acceptor.block_on(run(&settings))
}

async fn run(settings: &Settings) -> Result<()> {
    let certificate = ServingCertificate::new()?;
    certificate.install(settings.serving.certificate.as_bytes(), settings.serving.key.as_bytes())?;
    let threads = Threads::start(settings.layout)?;
    let (http, https) = (listen().await?, listen().await?);
    let addresses = Addresses { http: http.local_addr()?, https: https.local_addr()? };
    if settings.work == Work::FixedReply {
        child::ready(&addresses)?;
        let runtimes = threads.runtimes();
        tokio::join!(fixed::serve(http, Plain, &runtimes), fixed::serve(https, certificate.acceptor(), &runtimes));
        return Ok(());
    }
    let gateways = gateways(settings, &threads.runtimes()).await?;
    let places = || {
        let place = |(runtime, gateway): &(Handle, Arc<Gateway>)| ServingPlace {
            runtime: runtime.clone(),
            gateway: Arc::clone(gateway),
        };
        gateways.iter().map(place).collect::<Vec<_>>()
    };
    child::ready(&addresses)?;
    let never = CancellationToken::new();
    tokio::join!(
        kms_gateway::serve(http, Plain, places(), never.clone()),
        kms_gateway::serve(https, certificate.acceptor(), places(), never)
    );
    Ok(())
}

async fn listen() -> Result<TcpListener> {
    Ok(TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?)
}

/// The threads that serve, in one of the two layouts.
enum Threads {
    PerCore(Cores),
    Shared(Runtime),
}

impl Threads {
    fn start(layout: Layout) -> Result<Self> {
        Ok(match layout {
            Layout::PerCore => Self::PerCore(Cores::start()?),
            Layout::Shared => Self::Shared(Builder::new_multi_thread().enable_all().build()?),
        })
    }

    fn runtimes(&self) -> Vec<Handle> {
        match self {
            Self::PerCore(cores) => cores.runtimes().to_vec(),
            Self::Shared(runtime) => vec![runtime.handle().clone()],
        }
    }
}

/// One gateway for each runtime, as the product has them: all share what is known, each has its own HSM sessions.
async fn gateways(settings: &Settings, runtimes: &[Handle]) -> Result<Vec<(Handle, Arc<Gateway>)>> {
    let mut gateways: Vec<(Handle, Arc<Gateway>)> = Vec::new();
    // Every record is made and written before its answer, as in the product; nobody collects them.
    let writer = Arc::new(LineWriter::start_on(std::fs::File::options().write(true).open("/dev/null")?)?);
    let index = Arc::new(knowledge::index(&settings.access_key, settings.key_id));
    for runtime in runtimes {
        let stores = Arc::new(OneStore(store(settings, runtime).await?));
        let audit = Arc::new(Gathered::new(Arc::clone(&writer)));
        let gateway = match gateways.first() {
            Some((_, first)) => first.on_core(stores, audit),
            None => Gateway::new(Parts {
                index: Arc::clone(&index),
                stores,
                control: Arc::new(NoCluster),
                authorizer: Arc::new(AlwaysAllowed),
                audit,
                metrics: Metrics::register(&prometheus::Registry::new())?,
                place: knowledge::place(),
            }),
        };
        gateways.push((runtime.clone(), Arc::new(gateway)));
    }
    Ok(gateways)
}

async fn store(settings: &Settings, runtime: &Handle) -> Result<Arc<dyn StoreCrypto>> {
    let hsms = match settings.work {
        Work::FixedReply | Work::InProcessSeal => return Ok(Arc::new(seal::InProcessSeal::new()?)),
        Work::Hsms => settings.hsms.as_ref().context("no HSMs in the settings")?,
    };
    let pool = {
        let _entered = runtime.enter();
        let (store, generation, endpoints) = (&hsms.store_id, hsms.generation, hsms.endpoints());
        Pool::new(Arc::new(hsms.identity()?), hsms.anchor()?, store, generation, endpoints, "")
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while pool.available() < hsms.endpoints.len() {
        if tokio::time::Instant::now() > deadline {
            bail!("failed to open a session to every HSM: {:?}", pool.members());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(Arc::new(HsmStore::new(pool)))
}

/// HTTP without TLS: for the bench only, which wants to know what TLS costs.
#[derive(Clone)]
struct Plain;

impl Handshake for Plain {
    type Stream = TcpStream;

    async fn shake(self, stream: TcpStream) -> std::io::Result<TcpStream> {
        Ok(stream)
    }
}
