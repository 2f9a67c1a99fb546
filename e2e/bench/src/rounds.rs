//! The run: which measurements, in which order. What is compared is interleaved, so that a busy minute hits both.

use std::time::Duration;

use anyhow::{Context, Result};
use uuid::Uuid;

use crate::certificates::{self, Credentials};
use crate::child::Child;
use crate::cli::{Options, Part};
use crate::figure::Figures;
use crate::gateway::{AccessKey, Addresses, Layout, Settings, Work};
use crate::hsms::Hsms;
use crate::load::{self, Target, closed_loop, open_loop};
use crate::machine::Machine;
use crate::processes::{Used, Watched};
use crate::report::{self, Conditions};
use crate::{requests, sessions};

/// Requests per second of the latency measurements: AWS's quota of a custom key store, and eleven times that.
const RATES: [u32; 2] = [1_800, 20_000];
/// Connections of the latency measurements.
const PACED_CONNECTIONS: usize = 32;

/// A gateway under measurement.
struct Gateway {
    name: &'static str,
    child: Child,
    addresses: Addresses,
}

/// Everything that runs.
struct Bench<'a> {
    options: &'a Options,
    hsms: Hsms,
    access_key: AccessKey,
    client: Credentials,
    serving: Credentials,
}

/// Measures what the options ask for and shows it.
///
/// # Errors
/// When something does not start or a request fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    eprintln!("starting and initialising three HSMs");
    let (serving, client) = certificates::make()?;
    let bench = Bench { options, hsms: Hsms::start()?, access_key: AccessKey::generate()?, client, serving };
    let mut figures = Figures::default();
    if options.wants(Part::Sessions) {
        eprintln!("sessions on one core");
        sessions::measure(&bench.hsms, options.rounds(), bench.length(), &mut figures)?;
    }
    bench.measure_gateways(&mut figures)?;
    let conditions = Conditions {
        machine: Machine::this(),
        rounds: options.rounds(),
        seconds: options.seconds(),
        connections: options.connections,
    };
    report::show(&figures, &conditions, &options.out)
}

impl Bench<'_> {
    fn length(&self) -> Duration {
        Duration::from_secs(self.options.seconds().into())
    }

    fn measure_gateways(&self, figures: &mut Figures) -> Result<()> {
        let hsms = self.start("hsms", Work::Hsms, Layout::PerCore)?;
        if self.options.wants(Part::Encrypt) {
            let seal = self.start("seal", Work::InProcessSeal, Layout::PerCore)?;
            let fixed = self.start("fixed", Work::FixedReply, Layout::PerCore)?;
            for tls in [false, true] {
                self.encrypt(&[&hsms, &seal, &fixed], tls, figures)?;
            }
        }
        if self.options.wants(Part::Decrypt) {
            self.decrypt(&hsms, figures)?;
        }
        if self.options.wants(Part::Layout) {
            self.encrypt(&[&self.start("shared-runtime", Work::Hsms, Layout::Shared)?], false, figures)?;
        }
        if self.options.wants(Part::Latency) {
            self.latency(&hsms, figures)?;
        }
        Ok(())
    }

    fn start(&self, name: &'static str, work: Work, layout: Layout) -> Result<Gateway> {
        let settings = Settings {
            work,
            layout,
            serving: self.serving.clone(),
            access_key: self.access_key.clone(),
            key_id: self.key_id(),
            hsms: (work == Work::Hsms).then(|| self.hsms.access.clone()),
        };
        let (child, addresses) = Child::start("gateway", &settings).with_context(|| format!("gateway `{name}`"))?;
        Ok(Gateway { name, child, addresses })
    }

    fn key_id(&self) -> Uuid {
        self.hsms.key_id
    }

    fn target(&self, gateway: &Gateway, tls: bool) -> Result<Target> {
        Ok(if tls {
            Target { address: gateway.addresses.https, tls: Some(self.client.client(false)?) }
        } else {
            Target { address: gateway.addresses.http, tls: None }
        })
    }

    fn watched(&self, gateway: &Gateway) -> Watched {
        Watched::from([("gateway", vec![gateway.child.id()]), ("hsm", self.hsms.process_ids())])
    }

    /// The closed loop of Encrypt through each gateway in turn.
    fn encrypt(&self, gateways: &[&Gateway], tls: bool, figures: &mut Figures) -> Result<()> {
        let scheme = if tls { "https" } else { "http" };
        for round in 1..=self.options.rounds() {
            eprintln!("encrypt over {scheme}, round {round} of {}", self.options.rounds());
            let requests = requests::encrypt(&self.access_key, self.key_id())?;
            let mut rates = Vec::new();
            for gateway in gateways {
                let name = format!("encrypt/{scheme}/{}", gateway.name);
                rates.push(self.closed(gateway, tls, &requests, &name, figures)?);
            }
            if let [hsms, seal, fixed] = rates[..] {
                figures.add(&format!("encrypt/{scheme}/hsms-to-seal"), "ratio", hsms / seal);
                figures.add(&format!("encrypt/{scheme}/hsms-to-fixed"), "ratio", hsms / fixed);
            }
        }
        Ok(())
    }

    fn decrypt(&self, gateway: &Gateway, figures: &mut Figures) -> Result<()> {
        for round in 1..=self.options.rounds() {
            eprintln!("decrypt over http, round {round} of {}", self.options.rounds());
            let encrypted =
                load::once(&self.target(gateway, false)?, &requests::encrypt(&self.access_key, self.key_id())?)?;
            let requests = requests::decrypt(&self.access_key, &encrypted)?;
            self.closed(gateway, false, &requests, "decrypt/http/hsms", figures)?;
        }
        Ok(())
    }

    /// One round of the closed loop; returns operations per second.
    fn closed(
        &self,
        gateway: &Gateway,
        tls: bool,
        requests: &[Vec<u8>],
        name: &str,
        figures: &mut Figures,
    ) -> Result<f64> {
        let (target, watched) = (self.target(gateway, tls)?, self.watched(gateway));
        let connections = self.options.connections.into();
        let measured = closed_loop(&target, requests, connections, self.length(), &watched)?;
        let rate = measured.operations / measured.used.elapsed;
        figures.add(&format!("{name}/rate"), "op/s", rate);
        add_usage(name, &measured.used, measured.operations, figures);
        Ok(rate)
    }

    /// Open-loop latency, over HTTP: TLS of a connection that stays open adds microseconds.
    fn latency(&self, gateway: &Gateway, figures: &mut Figures) -> Result<()> {
        let length = self.length().max(Duration::from_secs(2));
        for rate in RATES {
            for round in 1..=self.options.rounds() {
                eprintln!("latency at {rate}/s, round {round} of {}", self.options.rounds());
                let requests = requests::encrypt(&self.access_key, self.key_id())?;
                let (target, watched) = (self.target(gateway, false)?, self.watched(gateway));
                let latency = open_loop(&target, &requests, PACED_CONNECTIONS, rate, length, &watched)?;
                let name = format!("latency/{rate}/{}", gateway.name);
                for (part, value) in
                    [("p50", latency.p50), ("p99", latency.p99), ("p99.9", latency.p999), ("most", latency.most)]
                {
                    figures.add(&format!("{name}/{part}"), "µs", value);
                }
                add_usage(&name, &latency.used, f64::from(rate) * latency.used.elapsed, figures);
            }
        }
        Ok(())
    }
}

/// CPU time per operation of every process, and how busy the rest of the machine was.
fn add_usage(name: &str, used: &Used, operations: f64, figures: &mut Figures) {
    let per_operation = |seconds: f64| seconds * 1e6 / operations;
    for (process, seconds) in used.by_name.iter().filter(|(_, seconds)| **seconds > 0.0) {
        figures.add(&format!("{name}/{process}-cpu"), "µs/op", per_operation(*seconds));
    }
    figures.add(&format!("{name}/load-cpu"), "µs/op", per_operation(used.load));
    figures.add(&format!("{name}/foreign"), "cores", used.foreign_cores);
}
