//! Emulators of AWS: installed when missing, started at most once per process, and stopped when it exits.
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::redis::free_port;

/// The emulator of all services that the system uses.
const MINISTACK: &str = "ministack==1.5.33";

/// Without this package, `ministack` silently misreads the SDK's requests to `CloudWatch`.
const CBOR: &str = "cbor2==6.3.0";

/// A slower emulator of Kinesis alone, whose shards have parents and children as on AWS.
const KINESIS_LOCAL: &str = "kinesis-local@0.6.2";

/// Limit of starting an emulator, which takes ten seconds on a machine with two busy cores.
const START_TIMEOUT: Duration = Duration::from_mins(2);

/// An emulator that runs until this process exits.
#[derive(Debug)]
pub struct Emulator {
    /// `http://127.0.0.1:…`.
    pub endpoint: String,
    /// Its standard input is the pipe whose end stops the emulator, however this process exits.
    _process: Child,
}

/// The emulator of this process.
pub fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(|| {
        let program = install_ministack();
        let port = free_port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(program);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("LOG_LEVEL", "WARNING");
        start(&command, port, "/_ministack/health")
    })
}

/// The emulator for streams that are resharded: the other one loses the records of a parent shard.
pub fn resharding_emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(|| {
        let main = install("kinesis-local", "node_modules/kinesis-local/main.js", |folder| {
            let mut install = Command::new("npm");
            install
                .args(["install", "--silent", "--no-audit", "--no-fund", KINESIS_LOCAL, "--prefix"])
                .arg(folder);
            vec![install]
        });
        let port = free_port();
        let mut command = Command::new("node");
        // It reads its certificate from the current directory.
        command.arg("main.js").current_dir(main.parent().unwrap());
        command.env("KINESIS_MOCK_PLAIN_PORT", port.to_string());
        command.env("KINESIS_MOCK_TLS_PORT", free_port().to_string());
        command.env("SHARD_LIMIT", "500");
        start(&command, port, "/healthcheck")
    })
}

/// Client settings for `endpoint`.
#[must_use]
pub fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .build()
}

/// A name for tables and streams that is unique within this process.
#[must_use]
pub fn unique_name(test: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("{test}-{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// Starts `command` in a process group and a temporary folder of its own, and waits until it responds at
/// `path`.
fn start(command: &Command, port: u16, path: &str) -> Emulator {
    // The shell reads until this process closes the pipe, and then deletes the folder and kills its group.
    const UNTIL_THE_PIPE_ENDS: &str = r#""$@" & read -r _; kill -9 $!; rm -rf "$FOLDER"; kill -9 0"#;
    let folder = tempfile::Builder::new().prefix("equilibrium-emulator-").tempdir().unwrap().keep();
    let log = File::create(folder.join("log")).unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", UNTIL_THE_PIPE_ENDS, "sh"]).arg(command.get_program()).args(command.get_args());
    shell.env_clear();
    shell
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", &folder)
        .env("TMPDIR", &folder);
    shell.env("FOLDER", &folder).env("STATE_DIR", folder.join("state"));
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let process = shell
        .current_dir(command.get_current_dir().unwrap_or(&folder))
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !is_healthy(port, path) {
        let log = folder.join("log");
        assert!(
            started.elapsed() < START_TIMEOUT,
            "{} does not respond on port {port}; its output: {}",
            command.get_program().display(),
            fs::read_to_string(log).unwrap_or_default()
        );
        sleep(Duration::from_millis(50));
    }
    Emulator { endpoint: format!("http://127.0.0.1:{port}"), _process: process }
}

fn is_healthy(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut status_line = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut status_line).is_ok()
        && status_line.starts_with(b"HTTP/1.1 200")
}

fn install_ministack() -> PathBuf {
    install("ministack", "bin/ministack", |venv| {
        let mut create = Command::new("python3");
        create.args(["-m", "venv"]).arg(venv);
        let mut install = Command::new(venv.join("bin/pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", MINISTACK, CBOR]);
        vec![create, install]
    })
}

/// The program at `path` in the folder `name` of the build's tools, which `steps` install if it is missing.
fn install(name: &str, path: &str, steps: impl Fn(&Path) -> Vec<Command>) -> PathBuf {
    let tools = target_folder().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let folder = tools.join(name);
    // Concurrent test runs must not install into one folder at the same time.
    let lock = File::create(tools.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let done = folder.join("installed");
    if !done.exists() {
        fs::remove_dir_all(&folder).ok();
        for mut step in steps(&folder) {
            let output = step.stdin(Stdio::null()).output();
            let reason = match &output {
                Ok(output) if output.status.success() => continue,
                Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
                Err(error) => error.to_string(),
            };
            panic!("the emulator is missing and could not be installed: {step:?}: {reason}");
        }
        fs::write(done, "").unwrap();
    }
    folder.join(path)
}

/// Cargo's target folder: that of `target/<profile>/deps/<test>`, the path of a test or benchmark.
fn target_folder() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).expect("cargo builds tests three levels deep").to_owned()
}
