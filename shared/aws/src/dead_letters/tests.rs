//! The queue against one that behaves as SQS does, over HTTP.

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

/// Of one call's messages: which it refuses, and whether that is the sender's fault.
type Refusals = (Vec<usize>, bool);

/// A queue that takes what it is sent, but for what it was told to refuse, call by call.
#[derive(Clone, Default)]
struct Queue {
    calls: Arc<Mutex<Vec<usize>>>,
    taken: Arc<Mutex<Vec<String>>>,
    refusals: Arc<Mutex<VecDeque<Refusals>>>,
}

impl Queue {
    fn refusing(refusals: &[Refusals]) -> Self {
        Self { refusals: Arc::new(Mutex::new(refusals.iter().cloned().collect())), ..Self::default() }
    }

    /// Serves it, and gives a client of it.
    fn serve(&self) -> SqsDeadLetterQueue {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let queue = self.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let queue = queue.clone();
                thread::spawn(move || queue.answer_all(stream.unwrap()));
            }
        });
        client(&endpoint, DEADLINE)
    }

    fn answer_all(&self, mut stream: TcpStream) {
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
            let answer = self.take(&serde_json::from_slice(&body).unwrap()).to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length:";
            write!(stream, "{head} {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
    }

    fn take(&self, request: &Value) -> Value {
        assert_eq!(request["QueueUrl"], "http://queue/letters");
        let entries = request["Entries"].as_array().unwrap();
        assert!((1..=10).contains(&entries.len()));
        let body = |entry: &Value| entry["MessageBody"].as_str().unwrap().to_owned();
        assert!(entries.iter().map(|entry| body(entry).len()).sum::<usize>() <= 1_048_576);
        self.calls.lock().push(entries.len());
        let (refused, fault) = self.refusals.lock().pop_front().unwrap_or_default();
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (at, entry) in entries.iter().enumerate() {
            let id = &entry["Id"];
            if refused.contains(&at) {
                failed.push(json!({"Id": id, "SenderFault": fault, "Code": "InternalError"}));
            } else {
                self.taken.lock().push(body(entry));
                successful.push(json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": "0"}));
            }
        }
        json!({"Successful": successful, "Failed": failed})
    }

    /// The indices of the letters that it took, and how many messages each call had.
    fn came(&self) -> (Vec<u64>, Vec<usize>) {
        let taken = self.taken.lock();
        let index = |body: &String| serde_json::from_str::<Value>(body).unwrap()["index"].as_u64().unwrap();
        let mut indices: Vec<u64> = taken.iter().map(index).collect();
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
    SqsDeadLetterQueue::new(Client::from_conf(config), "http://queue/letters".to_owned(), deadline)
}

fn letter(index: usize) -> DeadLetter {
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

fn letters(count: usize) -> Vec<DeadLetter> {
    (0..count).map(letter).collect()
}

#[test]
fn a_body_holds_every_byte_and_nothing_that_the_queue_refuses() {
    let body = body(&letter(3));
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
    let full = DeadLetter { line: vec![0; MAX_DEAD_LETTER_LINE_BYTES], ..letter(0) };
    assert_eq!(sizes(vec![body(&full); 10]), [10], "the longest lines there are");
}

#[tokio::test]
async fn all_letters_of_a_batch_arrive() {
    let queue = Queue::default();
    assert_eq!(queue.serve().send(letters(MAX_DEAD_LETTERS_PER_BATCH)).await, Ok(()));
    let (indices, calls) = queue.came();
    assert_eq!(indices, (0..MAX_DEAD_LETTERS_PER_BATCH as u64).collect::<Vec<_>>());
    assert_eq!(calls, [10; 10]);
}

#[tokio::test]
async fn what_the_queue_did_not_take_is_sent_again_alone() {
    let queue = Queue::refusing(&[(vec![1, 3, 4], false), (vec![2], false)]);
    assert_eq!(queue.serve().send(letters(6)).await, Ok(()));
    assert_eq!(queue.came(), ((0..6).collect(), vec![6, 3, 1]));
}

#[tokio::test]
async fn a_queue_that_goes_on_refusing_is_unavailable() {
    let refusal = (vec![0], false);
    let queue = Queue::refusing(&[refusal.clone(), refusal.clone(), refusal]);
    assert_eq!(queue.serve().send(letters(2)).await, Err(Unavailable));
    assert_eq!(queue.came(), (vec![1], vec![2, 1, 1]));
}

#[tokio::test]
async fn a_fault_of_the_senders_is_not_tried_again() {
    let queue = Queue::refusing(&[(vec![0], true)]);
    assert_eq!(queue.serve().send(letters(2)).await, Err(Unavailable));
    assert_eq!(queue.came(), (vec![1], vec![2]));
}

#[tokio::test]
async fn a_queue_that_does_not_answer_is_unavailable_inside_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let queue = client(&endpoint, Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(queue.send(letters(1)).await, Err(Unavailable));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
