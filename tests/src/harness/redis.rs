//! A `redis-server` for one test, stopped when the value is dropped.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Limit of starting a server.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A `redis-server` on a free port of the loopback interface, without persistence.
#[derive(Debug)]
pub struct RedisServer {
    /// The port without TLS.
    pub port: u16,
    options: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server with additional options.
    #[must_use]
    pub fn start(options: &[&str]) -> Self {
        let mut server = Self::stopped(options);
        server.run();
        server
    }

    /// A server that is not running yet. Its port is chosen.
    #[must_use]
    pub fn stopped(options: &[&str]) -> Self {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        Self { port: free_port(), options, folder: TempDir::new().unwrap(), child: None }
    }

    /// The URL of the port without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Starts the server and waits until it accepts connections.
    pub fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no"]).args(&self.options);
        command.current_dir(self.folder.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().inspect_err(|error| {
            assert_ne!(
                error.kind(),
                ErrorKind::NotFound,
                "install redis-server (Debian: apt install redis-server)"
            );
        });
        self.child = Some(child.unwrap());
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < START_TIMEOUT, "redis-server does not start");
            let exit_status = self.child.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(exit_status, None, "redis-server exited: {:?}", self.options);
            sleep(Duration::from_millis(10));
        }
    }

    /// Kills the server without a shutdown.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Suspends the server: its connections stay open, but it does not reply.
    pub fn suspend(&self) {
        self.signal("-STOP");
    }

    /// Resumes the server after [`Self::suspend`].
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Sends a command over a connection of its own and returns the reply in wire form.
    #[expect(clippy::must_use_candidate, reason = "most commands are sent for what they do")]
    pub fn command(&self, words: &[&str]) -> String {
        let mut text = format!("*{}\r\n", words.len());
        for word in words {
            write!(text, "${}\r\n{word}\r\n", word.len()).unwrap();
        }
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        let mut reply = vec![0; 16 * 1024];
        let length = stream.read(&mut reply).unwrap();
        String::from_utf8_lossy(&reply[..length]).into_owned()
    }

    /// Remaining lifetime of a key in milliseconds; −2 if the key does not exist.
    #[must_use]
    pub fn ttl_ms(&self, key: &str) -> i64 {
        self.command(&["PTTL", key]).trim().strip_prefix(':').unwrap().parse().unwrap()
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // SIGKILL also ends a suspended server.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port of the loopback interface that no process listens on.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
