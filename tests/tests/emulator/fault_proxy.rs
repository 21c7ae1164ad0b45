//! A proxy between an adapter and the emulator that injects faults.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// A fault of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request does not arrive; the response has this status and error code.
    Refused(u16, &'static str),
    /// The request does not arrive; the connection closes.
    Closed,
    /// The request is executed; the connection closes before the response.
    ResponseLost,
    /// The request is executed; the connection closes within the response.
    ResponseTruncated,
    /// The request does not arrive; there is no response.
    Hung,
    /// The request is executed; there is no response.
    ResponseHung,
    /// The first and every second further record of a `PutRecords` are refused.
    EverySecondRecord,
    /// The records of a `PutRecords` with this partition key are refused.
    PartitionKey(&'static str),
}

/// Throttling by DynamoDB.
pub const THROTTLED: Fault = Fault::Refused(400, "com.amazonaws.dynamodb.v20120810#ThrottlingException");
/// Throttling by DynamoDB or Kinesis.
pub const EXCEEDED: Fault = Fault::Refused(400, "ProvisionedThroughputExceededException");
/// An error of the service.
pub const SERVER_ERROR: Fault = Fault::Refused(500, "InternalServerError");

/// How long a hung request lasts: longer than any test waits.
const HANG_TIME: Duration = Duration::from_mins(2);

/// The proxy of one test.
#[derive(Clone)]
pub struct FaultProxy {
    /// The endpoint for the adapter.
    pub endpoint: String,
    state: Arc<Mutex<State>>,
}

/// Chooses the fault of a request by its operation.
type FaultChoice = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    /// Planned faults: operation, fault and remaining requests.
    planned: VecDeque<(&'static str, Fault, usize)>,
    /// Chooses faults of requests without a planned one.
    choice: Option<FaultChoice>,
    /// Requests so far: operation and number of records.
    requests: Vec<(String, usize)>,
    /// When each arrived.
    arrivals: Vec<Instant>,
}

impl FaultProxy {
    /// A proxy to `endpoint` without faults.
    pub async fn new(endpoint: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = endpoint.trim_start_matches("http://").to_owned();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Self { endpoint, state: Arc::default() };
        let state = Arc::clone(&proxy.state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, address.clone(), Arc::clone(&state)));
            }
        });
        proxy
    }

    /// Plans a fault for the next `times` requests of `operation`, after the faults already planned for it.
    pub fn plan(&self, operation: &'static str, fault: Fault, times: usize) {
        self.state.lock().planned.push_back((operation, fault, times));
    }

    /// Chooses a fault for each request by its operation.
    pub fn choose(&self, choice: impl FnMut(&str) -> Option<Fault> + Send + 'static) {
        self.state.lock().choice = Some(Box::new(choice));
    }

    /// Ends all faults.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.planned.clear();
        state.choice = None;
    }

    /// The number of records of each request of `operation` so far.
    pub fn requests(&self, operation: &str) -> Vec<usize> {
        let state = self.state.lock();
        state.requests.iter().filter(|(name, _)| name == operation).map(|(_, records)| *records).collect()
    }
}

impl FaultProxy {
    /// When the requests since `began` arrived.
    pub fn arrivals(&self, began: Instant) -> Vec<Instant> {
        self.state.lock().arrivals.iter().copied().filter(|at| *at >= began).collect()
    }
}

impl State {
    fn fault(&mut self, operation: &str, records: usize) -> Option<Fault> {
        self.requests.push((operation.into(), records));
        self.arrivals.push(Instant::now());
        let mut planned = self.planned.iter_mut();
        if let Some((_, fault, times)) = planned.find(|(name, _, times)| *name == operation && *times > 0) {
            *times -= 1;
            return Some(*fault);
        }
        self.choice.as_mut().and_then(|choice| choice(operation))
    }
}

/// A request or a response.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// The next message; `None` at the end of the connection.
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
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The operation of a request: `PutItem` for `DynamoDB_20120810.PutItem`.
    fn operation(&self) -> String {
        self.header("x-amz-target").and_then(|target| target.split('.').nth(1)).unwrap_or_default().into()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    fn response(status: u16, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        let kind = "application/x-amz-json-1.1";
        let head = format!(
            "HTTP/1.1 {status} Injected\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
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
        let response = match fault {
            None => forward(request, &address).await,
            Some(Fault::Refused(status, code)) => {
                Message::response(status, &json!({"__type": code, "message": "injected"}))
            }
            Some(Fault::Closed) => return,
            Some(Fault::ResponseLost) => {
                forward(request, &address).await;
                return;
            }
            Some(Fault::ResponseTruncated) => {
                let response = forward(request, &address).await.bytes();
                stream.write_all(&response[..response.len() - 1]).await.ok();
                return;
            }
            Some(Fault::Hung) => return sleep(HANG_TIME).await,
            Some(Fault::ResponseHung) => {
                forward(request, &address).await;
                return sleep(HANG_TIME).await;
            }
            Some(Fault::EverySecondRecord) => {
                forward_some(request, &address, |index, _| index % 2 == 1).await
            }
            Some(Fault::PartitionKey(refused)) => {
                forward_some(request, &address, |_, key| key != refused).await
            }
        };
        if stream.write_all(&response.bytes()).await.is_err() {
            return;
        }
    }
}

/// Sends a request to the emulator over a new connection.
async fn forward(request: Message, address: &str) -> Message {
    let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
    stream.write_all(&request.bytes()).await.unwrap();
    Message::read(&mut stream).await.expect("the emulator responds with a content length")
}

/// Sends the records that `accepts` by index and key to the emulator, and refuses the others.
async fn forward_some(request: Message, address: &str, accepts: impl Fn(usize, &str) -> bool) -> Message {
    let mut put_records = request.json();
    let records = put_records["Records"].take().as_array().unwrap().clone();
    let accepted: Vec<bool> = records
        .iter()
        .enumerate()
        .map(|(index, record)| accepts(index, record["PartitionKey"].as_str().unwrap()))
        .collect();
    let forwarded: Vec<Value> = records
        .into_iter()
        .zip(&accepted)
        .filter(|(_, accepted)| **accepted)
        .map(|(record, _)| record)
        .collect();
    let mut results = VecDeque::new();
    if !forwarded.is_empty() {
        put_records["Records"] = forwarded.into();
        let mut response = forward(request.with_body(&put_records), address).await.json();
        results.extend(response["Records"].as_array_mut().unwrap().drain(..));
    }
    let refused = json!({"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "injected"});
    let results: Vec<Value> = accepted
        .iter()
        .map(|accepted| if *accepted { results.pop_front().unwrap() } else { refused.clone() })
        .collect();
    let failed = accepted.iter().filter(|accepted| !**accepted).count();
    Message::response(200, &json!({"FailedRecordCount": failed, "Records": results}))
}
