//! A process that serves: how it is started, asked, heard and ended.

use parking_lot::Mutex;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Ask, Connection, Reply, get, post};
use crate::market::{as_of, crowd, driver, now_ms, place};

/// How long anything may take that takes moments on an idle machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// How long ago an event was whose tick closes with the next event of now, in milliseconds.
pub const SETTLED_MS: i64 = 15_000;

/// How far a process's clock may be behind the test's, in milliseconds: an event counts at its arrival at the
/// latest.
const CLOCKS_APART_MS: i64 = 50;

/// Where the driver is whom nobody else is near.
const LAST_PLACE: usize = 224;

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is what is waited for.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    found(look).unwrap_or_else(|| panic!("waited in vain for {what}"))
}

/// Looks until there is what is waited for, or patience is over.
fn found<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        let found = look();
        if found.is_some() || Instant::now() > end {
            return found;
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// `equilibrium serve` on a free port, with these arguments beside.
pub fn serve(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_equilibrium"));
    command.args(["serve", "--port", "0"]).args(arguments);
    command
}

/// `equilibrium serve` that nobody feeds, of a city whose ticks are short and whose memory is longer than any
/// test.
pub fn unfed() -> Command {
    let city = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/serve/city.json");
    serve(&["--feed", "none", "--city", city])
}

/// The same, and it keeps its things in a folder.
pub fn keep(folder: &Path) -> Command {
    let mut command = unfed();
    command.arg("--data").arg(folder);
    command
}

/// A process, which ends with this value at the latest.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    listeners: Vec<JoinHandle<()>>,
}

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        let lines = Arc::default();
        let listeners =
            vec![listen(child.stdout.take().unwrap(), &lines), listen(child.stderr.take().unwrap(), &lines)];
        Self { child, lines, listeners }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything said so far, without line ends.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// Everything that an ended process said.
    pub fn all_said(&mut self) -> String {
        for listener in self.listeners.drain(..) {
            listener.join().unwrap();
        }
        self.lines().join("\n")
    }

    /// Waits for a line that the test finds something in.
    pub fn hear<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let heard = found(|| self.lines().iter().find_map(|line| find(line)));
        heard.unwrap_or_else(|| panic!("never said {what}: {:#?}", self.lines()))
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let ended = found(|| self.child.try_wait().unwrap());
        ended.unwrap_or_else(|| panic!("did not end: {:#?}", self.lines()))
    }

    /// A line of what the system knows of it, such as its memory at its greatest.
    pub fn fact(&self, name: &str) -> String {
        let facts = fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let fact = facts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        fact.unwrap_or_else(|| panic!("{name} is not known: {facts}")).trim().to_owned()
    }

    /// The most memory it ever had, in megabytes.
    pub fn peak_mb(&self) -> u64 {
        self.fact("VmHWM").strip_suffix(" kB").unwrap().parse::<u64>().unwrap() / 1_024
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn listen(output: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let lines = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            lines.lock().push(line.unwrap());
        }
    })
}

/// A process that serves.
pub struct Server {
    pub process: Process,
    pub address: SocketAddr,
}

impl Server {
    /// Starts one that nobody feeds.
    pub fn unfed() -> Self {
        Self::start(&mut unfed())
    }

    /// Starts one that nobody feeds and that keeps its things in a folder.
    pub fn keeping(folder: &Path) -> Self {
        Self::start(&mut keep(folder))
    }

    pub fn start(command: &mut Command) -> Self {
        let process = Process::start(command);
        let port = process.hear("where it listens", |line| {
            line.strip_prefix("Equilibrium ")?.split_once("http://127.0.0.1:")?.1.parse().ok()
        });
        Self { process, address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Its answer, on a connection of its own.
    pub fn ask(&self, ask: &Ask) -> Reply {
        self.connect().ask(ask).unwrap()
    }

    /// The document at a path.
    pub fn json(&self, target: &str) -> Value {
        let reply = self.ask(&get(target));
        assert_eq!(reply.status, 200, "{target}: {}", reply.text());
        reply.json()
    }

    /// Posts events, all of which are accepted.
    pub fn post(&self, events: &str) {
        let accepted = self.ask(&post(events)).accepted();
        assert_eq!(accepted, events.lines().count() as u64);
    }

    /// Has the ticks before now close, by one more driver at the last place.
    pub fn close_ticks(&self) -> Value {
        let known = self.map();
        let newest_ms = until("the next tick", || {
            let newest_ms = now_ms() - CLOCKS_APART_MS;
            (known["as_of"] != as_of(newest_ms)).then_some(newest_ms)
        });
        self.post(&driver("last", place(LAST_PLACE), newest_ms));
        self.map_as_of(&as_of(newest_ms))
    }

    /// Fills so many places and gives the map of that.
    pub fn fill(&self, places: usize) -> Value {
        self.post(&crowd(places, now_ms() - SETTLED_MS));
        self.close_ticks()
    }

    /// The cell of a place.
    pub fn cell(&self, (lat, lng): (f64, f64)) -> String {
        self.json(&format!("/v1/price?lat={lat}&lng={lng}"))["cell"].as_str().unwrap().to_owned()
    }

    /// New York's map.
    pub fn map(&self) -> Value {
        self.json("/v1/cities/nyc/surge")
    }

    /// The map once it is of this moment, as RFC 3339 has it.
    pub fn map_as_of(&self, as_of: &str) -> Value {
        let map = found(|| Some(self.map()).filter(|map| map["as_of"] == as_of));
        map.unwrap_or_else(|| panic!("no map as of {as_of}: {}", self.map()))
    }

    /// Whether it gives prices within a time that nobody would call an outage.
    pub fn assert_serves(&self) {
        let asked = Instant::now();
        let price = self.json("/v1/price?lat=40.7549&lng=-73.984");
        assert_eq!(price["city"], "nyc");
        assert!(asked.elapsed() < Duration::from_secs(5), "a price took {:?}", asked.elapsed());
    }

    /// Ends it as a terminal or a supervisor would, and without a fault.
    pub fn stop(mut self, signal: &str) {
        self.process.signal(signal);
        let status = self.process.ended();
        assert_eq!(status.code(), Some(0), "{:#?}", self.process.lines());
    }
}
