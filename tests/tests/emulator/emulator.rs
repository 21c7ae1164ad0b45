//! Installs the emulators, starts each once for the whole test binary, and ends them with it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};

/// DynamoDB and Kinesis, and all else that this system asks of AWS.
const MINISTACK: &str = "ministack==1.5.33";

/// Without it `ministack` does not understand what the SDK asks `CloudWatch`, and does not say so.
const CBOR: &str = "cbor2==6.3.0";

/// Kinesis alone, slower, whose shards have the parents and children that they have on AWS.
const KINESIS_LOCAL: &str = "kinesis-local@0.6.2";

/// On a machine with two busy cores it takes ten seconds.
const READY_WITHIN: Duration = Duration::from_mins(2);

/// An emulator that runs for as long as this process does.
pub struct Emulator {
    /// `http://127.0.0.1:…`.
    pub endpoint: String,
    /// Holds the pipe by whose end the emulator hears of this process's end, however it comes about.
    _process: Child,
}

/// The emulator of this test binary.
pub fn emulator() -> &'static Emulator {
    static EMULATOR: OnceLock<Emulator> = OnceLock::new();
    EMULATOR.get_or_init(|| {
        let bin = install_ministack();
        let port = free_port();
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut command = Command::new(bin);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("LOG_LEVEL", "WARNING");
        start(&command, port, "/_ministack/health")
    })
}

/// The emulator for streams that are resharded: the other one loses a parent's records.
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
        // Its certificate lies beside it.
        command.arg("main.js").current_dir(main.parent().unwrap());
        command.env("KINESIS_MOCK_PLAIN_PORT", port.to_string());
        command.env("KINESIS_MOCK_TLS_PORT", free_port().to_string());
        command.env("SHARD_LIMIT", "500");
        start(&command, port, "/healthcheck")
    })
}

/// A configuration that leads to `endpoint`.
pub fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .build()
}

/// Milliseconds since the epoch.
pub fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// A name that no other test of this binary has, for tables and streams.
pub fn fresh(test: &str) -> String {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    format!("{test}-{}", TAKEN.fetch_add(1, Ordering::Relaxed))
}

/// Starts `command` in a process group of its own and a folder that goes with it, and waits until it
/// answers at `path`.
fn start(command: &Command, port: u16, path: &str) -> Emulator {
    // The shell reads until the pipe from this process ends, and then ends its group and the folder.
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
    let began = Instant::now();
    while !answers(port, path) {
        let log = folder.join("log");
        assert!(
            began.elapsed() < READY_WITHIN,
            "{} does not answer at port {port}; it said: {}",
            command.get_program().display(),
            fs::read_to_string(log).unwrap_or_default()
        );
        sleep(Duration::from_millis(50));
    }
    Emulator { endpoint: format!("http://127.0.0.1:{port}"), _process: process }
}

fn answers(port: u16, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
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

/// The program at `path` in the folder `name` among the build's tools; `steps` put it there if it is not.
fn install(name: &str, path: &str, steps: impl Fn(&Path) -> Vec<Command>) -> PathBuf {
    let tools = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("tools");
    fs::create_dir_all(&tools).unwrap();
    let folder = tools.join(name);
    // Two test runs that begin at once must not install into one folder.
    let lock = File::create(tools.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let done = folder.join("installed");
    if !done.exists() {
        fs::remove_dir_all(&folder).ok();
        for mut step in steps(&folder) {
            let output = step.stdin(Stdio::null()).output();
            let said = match &output {
                Ok(output) if output.status.success() => continue,
                Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
                Err(error) => error.to_string(),
            };
            panic!("the emulator is not there and could not be installed: {step:?}: {said}");
        }
        fs::write(done, "").unwrap();
    }
    folder.join(path)
}
