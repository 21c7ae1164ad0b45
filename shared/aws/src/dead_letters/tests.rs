//! The adapter against a fake SQS over HTTP.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use aws_sdk_sqs::config::{BehaviorVersion, Config, Credentials, Region};
use equilibrium_app::count::dead_letters::{MAX_DEAD_LETTER_LINE_BYTES, MAX_DEAD_LETTERS_PER_BATCH};
use equilibrium_domain::event::sequence::Sequence;
use serde_json::Value;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// The messages of one call that are refused, by index, and whether as a sender fault.
type Refusals = (Vec<usize>, bool);

/// A queue that accepts every message except the planned refusals of each call.
#[derive(Clone, Default)]
struct Queue {
    calls: Arc<Mutex<Vec<usize>>>,
    accepted: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<VecDeque<Refusals>>>,
}

impl Queue {
    fn refusing(refusals: &[Refusals]) -> Self {
        Self { refusals: Arc::new(Mutex::new(refusals.iter().cloned().collect())), ..Self::default() }
    }

    /// Serves the queue and returns an adapter that is connected to it.
    fn serve(&self) -> SqsDeadLetterQueue {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let queue = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let queue = queue.clone();
                thread::spawn(move || queue.serve_connection(stream.unwrap()));
            }
        });
        client(&endpoint, DEADLINE)
    }

    fn serve_connection(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut length = 0;
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                if let Some((name, value)) = line.split_once(':')
                    && name.eq_ignore_ascii_case("content-length")
                {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let response = self.receive(&serde_json::from_slice(&body).unwrap()).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length:";
            write!(stream, "{head} {}\r\n\r\n{response}", response.len()).unwrap();
        }
    }

    fn receive(&self, request: &Value) -> Value {
        assert_eq!(request["QueueUrl"], "http://queue/dead-letters");
        let entries = request["Entries"].as_array().unwrap();
        assert!((1..=10).contains(&entries.len()));
        let body = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
        assert!(entries.iter().map(|entry| body(entry).len()).sum::<usize>() <= 1_048_576);
        self.calls.lock().push(entries.len());
        let (refused, sender_fault) = self.refusals.lock().pop_front().unwrap_or_default();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            let id = &entry["Id"];
            if refused.contains(&index) {
                failed.push(json!({"Id": id, "SenderFault": sender_fault, "Code": "InternalError"}));
            } else {
                self.accepted.lock().push(body(entry));
                successful.push(json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": "0"}));
            }
        }
        json!({"Successful": successful, "Failed": failed})
    }

    /// The indices of the accepted dead letters, and the number of messages of each call.
    fn received(&self) -> (Vec<u64>, Vec<usize>) {
        let accepted = self.accepted.lock();
        let index = |body: &String| serde_json::from_str::<Value>(body).unwrap()["index"].as_u64().unwrap();
        let mut indices: Vec<u64> = accepted.iter().map(index).collect();
        indices.sort_unstable();
        (indices, self.calls.lock().clone())
    }
}

fn client(endpoint: &str, deadline: Duration) -> SqsDeadLetterQueue {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    SqsDeadLetterQueue::new(Client::from_conf(config), "http://queue/dead-letters".to_owned(), deadline)
}

fn dead_letter(index: usize) -> DeadLetter {
    DeadLetter {
        line: b"{\xff\0}".to_vec(),
        length: 4,
        code: "malformed_json",
        message: "no \u{ffff} \u{1f697}\n".to_owned(),
        sequence: Sequence::from(7),
        index,
        arrival: 1_772_816_406_500,
    }
}

fn dead_letters(count: usize) -> Vec<DeadLetter> {
    (0..count).map(dead_letter).collect()
}

#[test]
fn a_body_preserves_every_byte_and_is_printable_ascii() {
    let body = body(&dead_letter(3));
    assert!(body.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{body}");
    let expected = json!({
        "line": "e/8AfQ==",
        "length": 4,
        "code": "malformed_json",
        "message": "no \u{ffff} \u{1f697}\n",
        "sequence": "7",
        "index": 3,
        "arrival_ms": 1_772_816_406_500_i64,
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
}

#[test]
fn calls_stay_within_the_limits_of_number_and_bytes() {
    let sizes = |bodies: Vec<String>| calls(bodies.into_iter()).iter().map(Vec::len).collect::<Vec<_>>();
    assert!(sizes(Vec::new()).is_empty());
    assert_eq!(sizes(vec!["a".to_owned(); 21]), [10, 10, 1]);
    assert_eq!(sizes(vec!["a".repeat(MAX_CALL_BYTES); 2]), [1, 1]);
    assert_eq!(sizes(vec!["a".repeat(MAX_CALL_BYTES / 4); 9]), [4, 4, 1]);
    let full = DeadLetter { line: vec![0; MAX_DEAD_LETTER_LINE_BYTES], ..dead_letter(0) };
    assert_eq!(sizes(vec![body(&full); 10]), [10], "lines of the maximum length");
}

#[tokio::test]
async fn all_dead_letters_of_a_batch_are_sent() {
    let queue = Queue::default();
    assert_eq!(queue.serve().send(dead_letters(MAX_DEAD_LETTERS_PER_BATCH)).await, Ok(()));
    let (indices, calls) = queue.received();
    assert_eq!(indices, (0..MAX_DEAD_LETTERS_PER_BATCH as u64).collect::<Vec<_>>());
    assert_eq!(calls, [10; 10]);
}

#[tokio::test]
async fn only_refused_messages_are_sent_again() {
    let queue = Queue::refusing(&[(vec![1, 3, 4], false), (vec![2], false)]);
    assert_eq!(queue.serve().send(dead_letters(6)).await, Ok(()));
    assert_eq!(queue.received(), ((0..6).collect(), vec![6, 3, 1]));
}

#[tokio::test]
async fn a_queue_that_keeps_refusing_is_unavailable() {
    let refusal = (vec![0], false);
    let queue = Queue::refusing(&[refusal.clone(), refusal.clone(), refusal]);
    assert_eq!(queue.serve().send(dead_letters(2)).await, Err(Unavailable));
    assert_eq!(queue.received(), (vec![1], vec![2, 1, 1]));
}

#[tokio::test]
async fn a_sender_fault_is_not_retried() {
    let queue = Queue::refusing(&[(vec![0], true)]);
    assert_eq!(queue.serve().send(dead_letters(2)).await, Err(Unavailable));
    assert_eq!(queue.received(), (vec![1], vec![2]));
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_unavailable_within_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let queue = client(&endpoint, Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(queue.send(dead_letters(1)).await, Err(Unavailable));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
