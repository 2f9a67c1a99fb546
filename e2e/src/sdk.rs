//! Stock AWS clients against the gateway: boto3 behind a pipe, and the AWS CLI as a command.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::binaries::{checkout, kubernetes};

/// Where the gateway is and who calls: the usual `AWS_*` variables.
#[derive(Clone, Debug)]
pub struct Caller {
    /// `https://host:port`.
    pub endpoint: String,
    /// The certificate file to trust.
    pub ca_bundle: PathBuf,
    /// The access key id.
    pub access_key_id: String,
    /// Its secret; made at run time and known to this run only.
    pub secret_access_key: String,
    /// The region that requests are signed for.
    pub region: String,
}

impl Caller {
    /// The variables as an application's environment holds them.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("AWS_ENDPOINT_URL_KMS", self.endpoint.clone()),
            ("AWS_ENDPOINT_URL_STS", self.endpoint.clone()),
            ("AWS_CA_BUNDLE", self.ca_bundle.display().to_string()),
            ("AWS_ACCESS_KEY_ID", self.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_access_key.clone()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_DEFAULT_REGION", self.region.clone()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/dev/null".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".to_owned()),
        ])
    }
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The response members.
    Ok(Value),
    /// The AWS error.
    Refused {
        /// The exception name.
        code: String,
        /// The text for people.
        message: String,
        /// The HTTP status.
        status: u64,
    },
}

impl Answer {
    /// The response.
    ///
    /// # Errors
    /// When the call was refused.
    pub fn ok(self) -> Result<Value> {
        match self {
            Self::Ok(value) => Ok(value),
            Self::Refused { code, message, .. } => bail!("refused with {code}: {message}"),
        }
    }

    /// The exception name; empty for success.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Ok(_) => "",
            Self::Refused { code, .. } => code,
        }
    }
}

/// How often and how long the SDK tries one call.
#[derive(Clone, Copy, Debug)]
pub struct Retries {
    /// Tries of one call, the first included.
    pub attempts: u32,
    /// Seconds without an answer after which a try is given up.
    pub timeout_seconds: u32,
}

impl Retries {
    /// What the tests use where nothing but a pod is lost.
    pub const USUAL: Self = Self { attempts: 5, timeout_seconds: 60 };
    /// For a lost node. Until Kubernetes notices, which takes it 40 to 50 s, half of all new connections go to the
    /// gateway there and are answered by nobody, not even with a refusal.
    pub const PATIENT: Self = Self { attempts: 10, timeout_seconds: 10 };
}

/// What an application saw in a while.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Seen {
    /// Calls that were answered.
    pub calls: u64,
    /// Answers that were not the plaintext that was encrypted.
    pub wrong: u64,
    /// Calls that failed after the SDK's retries.
    pub failed: u64,
    /// Seconds that the slowest pair of Encrypt and Decrypt took, retries included.
    pub slowest: f64,
    /// The last messages of failed calls.
    pub errors: Vec<String>,
}

impl std::ops::AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.wrong += other.wrong;
        self.failed += other.failed;
        self.slowest = self.slowest.max(other.slowest);
        self.errors.extend(other.errors);
    }
}

/// A running boto3.
#[derive(Debug)]
pub struct Sdk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Sdk {
    /// Starts Python with the caller's variables.
    ///
    /// # Errors
    /// When the environment is not installed.
    pub fn start(caller: &Caller) -> Result<Self> {
        let mut child = Command::new(program("python")?)
            .arg(checkout().join("e2e/aws/sdk.py"))
            .envs(caller.environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start boto3")?;
        let input = child.stdin.take().context("no pipe to boto3")?;
        let output = BufReader::new(child.stdout.take().context("no pipe from boto3")?);
        Ok(Self { child, input, output })
    }

    /// One call with the SDK's own retries. Bytes go in and come out as [`bytes`] makes them.
    ///
    /// # Errors
    /// When boto3 itself could not make the call, such as a refused connection or a parameter it does not know.
    pub fn call(&mut self, service: &str, operation: &str, parameters: &Value) -> Result<Answer> {
        let answer = self.exchange(&json!({ "service": service, "operation": operation, "parameters": parameters }))?;
        if let Some(value) = answer.get("ok") {
            return Ok(Answer::Ok(value.clone()));
        }
        let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let status = answer.get("status").and_then(Value::as_u64).unwrap_or_default();
        Ok(Answer::Refused { code: text("code"), message: text("message"), status })
    }

    /// One call to `kms`.
    ///
    /// # Errors
    /// As [`Sdk::call`].
    pub fn kms(&mut self, operation: &str, parameters: &Value) -> Result<Answer> {
        self.call("kms", operation, parameters)
    }

    /// One bent HTTP request; see `e2e/aws/sdk.py` for what can be bent. Returns status, headers and body.
    ///
    /// # Errors
    /// When the request could not be sent.
    pub fn raw(&mut self, request: &Value) -> Result<Value> {
        self.exchange(&json!({ "raw": request }))
    }

    /// Encrypt and Decrypt in turn for some seconds.
    ///
    /// # Errors
    /// When the pipe breaks.
    pub fn traffic(&mut self, key: &str, seconds: u32, retries: Retries) -> Result<Seen> {
        let settings = json!({
            "key": key, "seconds": seconds, "attempts": retries.attempts, "timeout": retries.timeout_seconds
        });
        serde_json::from_value(self.exchange(&json!({ "loop": settings }))?).context("failed to read what was counted")
    }

    /// As [`Sdk::traffic`], without the SDK's retries and with a new connection from time to time: every failure shows.
    ///
    /// # Errors
    /// When the pipe breaks.
    pub fn strict_traffic(&mut self, key: &str, seconds: u32) -> Result<Seen> {
        let settings = json!({ "key": key, "seconds": seconds, "attempts": 1, "timeout": 60, "reconnect": 25 });
        serde_json::from_value(self.exchange(&json!({ "loop": settings }))?).context("failed to read what was counted")
    }

    fn exchange(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.input, "{request}")?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).context("boto3 ended")?;
        match answer.get("broken") {
            Some(broken) => bail!("boto3 could not make the call: {broken}"),
            None => Ok(answer),
        }
    }
}

impl Drop for Sdk {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Runs the AWS CLI and returns its JSON output.
///
/// # Errors
/// When it exits with an error; the text holds what it printed.
pub fn cli(caller: &Caller, arguments: &[&str]) -> Result<Value> {
    let output = Command::new(program("aws")?)
        .args(arguments)
        .args(["--output", "json"])
        .envs(caller.environment())
        .output()
        .context("failed to start the AWS CLI")?;
    if !output.status.success() {
        bail!("aws {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    if output.stdout.is_empty() { Ok(Value::Null) } else { Ok(serde_json::from_slice(&output.stdout)?) }
}

/// Bytes as parameters and answers carry them.
#[must_use]
pub fn bytes(value: &[u8]) -> Value {
    json!({ "$bytes": STANDARD.encode(value) })
}

/// The bytes of a response member.
///
/// # Errors
/// When the member is absent or no bytes.
pub fn bytes_of(answer: &Value, member: &str) -> Result<Vec<u8>> {
    let text = answer[member]["$bytes"].as_str().with_context(|| format!("{member} is missing in {answer}"))?;
    Ok(STANDARD.decode(text)?)
}

/// `aws` is found as the other programs are; the Python with boto3 lies beside it.
fn program(name: &str) -> Result<PathBuf> {
    let aws = kubernetes("aws").context("`e2e/demo/aws-cli.sh` installs the AWS CLI and prints its folder")?;
    Ok(aws.with_file_name(name))
}
