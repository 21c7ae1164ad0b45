//! A wire between an adapter and the emulator, on which things go wrong as told.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not arrive, and is answered with this status and error code.
    Refused(u16, &'static str),
    /// The connection breaks before it arrives.
    Cut,
    /// It is done, and the connection breaks before the answer.
    Lost,
    /// It is done, and the connection breaks in the middle of the answer.
    Torn,
    /// It does not arrive, and nobody answers.
    Hung,
    /// It is done, and nobody answers.
    Silent,
    /// Of the records of a `PutRecords`, the first and every second after it are refused.
    EverySecond,
    /// Of the records of a `PutRecords`, those with this partition key are refused.
    Key(&'static str),
}

/// Throttling as DynamoDB reports it.
pub const THROTTLED: Fault = Fault::Refused(400, "com.amazonaws.dynamodb.v20120810#ThrottlingException");
/// Throttling as DynamoDB and Kinesis report it.
pub const EXCEEDED: Fault = Fault::Refused(400, "ProvisionedThroughputExceededException");
/// A failure of the service.
pub const BROKEN: Fault = Fault::Refused(500, "InternalServerError");

/// How long the hung hang: longer than any test waits.
const LONG: Duration = Duration::from_mins(2);

/// A wire of one test.
#[derive(Clone)]
pub struct Wire {
    /// Where the adapter is to connect.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

/// Says what befalls a request of some operation.
type Chance = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    /// The operations that a fault is for, and how often it happens yet.
    planned: VecDeque<(&'static str, Fault, usize)>,
    /// Faults by chance.
    chance: Option<Chance>,
    /// Operations so far, each with how many records it put.
    calls: Vec<(String, usize)>,
}

impl Wire {
    /// A wire to `endpoint` on which all goes well.
    pub async fn new(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = endpoint.trim_start_matches("http://").to_owned();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let wire = Self { endpoint, state: Arc::default() };
        let state = Arc::clone(&wire.state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address.clone(), Arc::clone(&state)));
            }
        });
        wire
    }

    /// Has a fault happen to the next `times` requests of `operation`, after all that were planned for it
    /// before.
    pub fn plan(&self, operation: &'static str, fault: Fault, times: usize) {
        self.state.lock().planned.push_back((operation, fault, times));
    }

    /// Has faults happen by chance.
    pub fn chance(&self, chance: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        self.state.lock().chance = Some(Box::new(chance));
    }

    /// Has nothing go wrong any more.
    pub fn calm(&self) {
        let mut state = self.state.lock();
        state.planned.clear();
        state.chance = None;
    }

    /// How many records each request of `operation` put, so far.
    pub fn calls(&self, operation: &str) -> Vec<usize> {
        let state = self.state.lock();
        state.calls.iter().filter(|(of, _)| of == operation).map(|(_, records)| *records).collect()
    }
}

impl State {
    fn fault(&mut self, operation: &str, records: usize) -> Option<Fault> {
        self.calls.push((operation.into(), records));
        if let Some(at) = self.planned.iter().position(|(of, _, times)| *of == operation && *times > 0) {
            self.planned[at].2 -= 1;
            return Some(self.planned[at].1);
        }
        self.chance.as_mut().and_then(|chance| chance(operation))
    }
}

/// A request, or an answer.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// The next one, unless the connection ends.
    async fn read(stream: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        let message = Self { head, body: Vec::new() };
        let mut body = vec![0; message.header("content-length")?.parse().ok()?];
        stream.read_exact(&mut body).await.ok()?;
        Some(Self { body, ..message })
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What the request asks for: `DynamoDB_20120810.PutItem` is `PutItem`.
    fn operation(&self) -> String {
        self.header("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or_default().into()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn answer(status: u16, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        let kind = "application/x-amz-json-1.1";
        let head = format!(
            "HTTP/1.1 {status} Said\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Self { head, body }
    }

    fn with_body(self, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        let lines = self.head.trim_end().lines().map(|line| match line.split_once(": ") {
            Some((name, _)) if name.eq_ignore_ascii_case("content-length") => {
                format!("{name}: {}", body.len())
            }
            _ => line.to_owned(),
        });
        let head = lines.collect::<Vec<_>>().join("\r\n") + "\r\n\r\n";
        Self { head, body }
    }

    fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), &self.body].concat()
    }
}

async fn serve(stream: TcpStream, address: String, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = Message::read(&mut stream).await {
        let records = request.json()["Records"].as_array().map_or(0, Vec::len);
        let fault = state.lock().fault(&request.operation(), records);
        let answer = match fault {
            None => forward(request, &address).await,
            Some(Fault::Refused(status, code)) => {
                Message::answer(status, &json!({"__type": code, "message": "told so"}))
            }
            Some(Fault::Cut) => return,
            Some(Fault::Lost) => {
                forward(request, &address).await;
                return;
            }
            Some(Fault::Torn) => {
                let answer = forward(request, &address).await.bytes();
                stream.write_all(&answer[..answer.len() - 1]).await.ok();
                return;
            }
            Some(Fault::Hung) => return sleep(LONG).await,
            Some(Fault::Silent) => {
                forward(request, &address).await;
                return sleep(LONG).await;
            }
            Some(Fault::EverySecond) => forward_some(request, &address, |at, _| at % 2 == 1).await,
            Some(Fault::Key(refused)) => forward_some(request, &address, |_, key| key != refused).await,
        };
        if stream.write_all(&answer.bytes()).await.is_err() {
            return;
        }
    }
}

/// Has the emulator do it, over a connection of its own.
async fn forward(request: Message, address: &str) -> Message {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.write_all(&request.bytes()).await.unwrap();
    Message::read(&mut stream).await.expect("the emulator answers with a length")
}

/// Has the emulator put those records of which `takes` says so, by place and key; the others are refused.
async fn forward_some(request: Message, address: &str, takes: impl Fn(usize, &str) -> bool) -> Message {
    let mut asked = request.json();
    let records = asked["Records"].take().as_array().unwrap().clone();
    let taken: Vec<bool> = records
        .iter()
        .enumerate()
        .map(|(at, record)| takes(at, record["PartitionKey"].as_str().unwrap()))
        .collect();
    let some: Vec<Value> =
        records.into_iter().zip(&taken).filter(|(_, taken)| **taken).map(|(record, _)| record).collect();
    let mut put = VecDeque::new();
    if !some.is_empty() {
        asked["Records"] = some.into();
        let mut answer = forward(request.with_body(&asked), address).await.json();
        put.extend(answer["Records"].as_array_mut().unwrap().drain(..));
    }
    let refused = json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "told so"});
    let results: Vec<Value> =
        taken.iter().map(|taken| if *taken { put.pop_front().unwrap() } else { refused.clone() }).collect();
    let failed = taken.iter().filter(|taken| !**taken).count();
    Message::answer(200, &json!({"FailedRecordCount": failed, "Records": results}))
}
