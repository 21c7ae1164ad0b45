//! A child process: its output, its signals and its resources.

use parking_lot::Mutex;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a test waits for anything that takes moments on an idle machine.
pub const TIMEOUT: Duration = Duration::from_secs(40);

/// Time between two checks of a condition.
const CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `check` returns a value.
pub fn until<T>(what: &str, check: impl FnMut() -> Option<T>) -> T {
    poll(check).unwrap_or_else(|| panic!("timed out waiting for {what}"))
}

/// Waits until `check` returns a value; `None` after [`TIMEOUT`].
pub fn poll<T>(mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + TIMEOUT;
    loop {
        let found = check();
        if found.is_some() || Instant::now() > end {
            return found;
        }
        thread::sleep(CHECK_INTERVAL);
    }
}

/// A process, killed when it is dropped.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let lines = Arc::default();
        let readers = vec![
            read_lines(child.stdout.take().unwrap(), &lines),
            read_lines(child.stderr.take().unwrap(), &lines),
        ];
        Self { child, lines, readers }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The lines of stdout and stderr so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// The whole output of an ended process.
    pub fn output(&mut self) -> String {
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.lines().join("\n")
    }

    /// Waits for a line for which `find` returns a value.
    pub fn wait_for_line<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = poll(|| self.lines().iter().find_map(|line| find(line)));
        found.unwrap_or_else(|| panic!("no line with {what}: {:#?}", self.lines()))
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end of the process.
    pub fn wait(&mut self) -> ExitStatus {
        let status = poll(|| self.child.try_wait().unwrap());
        status.unwrap_or_else(|| panic!("did not end: {:#?}", self.lines()))
    }

    /// A value of `/proc/PID/status`, such as `VmHWM`.
    pub fn proc_status(&self, name: &str) -> String {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_else(|| panic!("no {name}: {status}")).trim().to_owned()
    }

    /// Peak memory (resident set), in megabytes.
    pub fn peak_mb(&self) -> u64 {
        self.proc_status("VmHWM").strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1_024
    }

    /// Number of open file descriptors.
    pub fn open_files(&self) -> u64 {
        fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().count() as u64
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_lines(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            lines.lock().push(line.unwrap());
        }
    })
}
