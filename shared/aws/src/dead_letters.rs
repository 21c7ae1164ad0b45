//! The queue of refused events, on Amazon SQS.
//!
//! A message's body is a JSON object in ASCII: `line` (the line's bytes in Base64), `length` (the whole
//! line's, in bytes), `code`, `message`, `sequence` (the record's), `index` (of the line in it) and
//! `arrival_ms` (since the epoch). Base64, because SQS takes no byte that XML would not.

use std::fmt::Write;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use equilibrium_app::count::ports::{DeadLetter, DeadLetterQueue};
use equilibrium_app::unavailable::Unavailable;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::timeout;

/// Most messages of a call (`SendMessageBatch`, Amazon SQS API reference).
const MAX_CALL_MESSAGES: usize = 10;

/// Most bytes of a call's bodies together, and of one alone (`SendMessageBatch`, Amazon SQS API reference).
const MAX_CALL_BYTES: usize = 1 << 20;

/// How often a message is put before it is given up: what SQS refuses for a fault of its own it mostly
/// takes a moment later.
const MAX_ATTEMPTS: usize = 3;

/// Dead letters in a queue of Amazon SQS.
#[derive(Clone, Debug)]
pub struct SqsDeadLetterQueue {
    client: Client,
    url: String,
    deadline: Duration,
}

impl SqsDeadLetterQueue {
    /// The queue at `url`. All that is sent at once is sent within `deadline`.
    #[must_use]
    pub fn new(client: Client, url: String, deadline: Duration) -> Self {
        Self { client, url, deadline }
    }

    /// The queue at `url`, which is connected to at the first call.
    #[must_use]
    pub fn at(config: &SdkConfig, url: String, deadline: Duration) -> Self {
        Self::new(Client::new(config), url, deadline)
    }

    /// Puts a call's messages, and those alone again that the queue did not take.
    async fn put(&self, mut bodies: Vec<String>) -> Result<(), Unavailable> {
        for _ in 0..MAX_ATTEMPTS {
            let entries = bodies.iter().enumerate().map(|(id, body)| {
                SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(body).build()
            });
            let entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(|_| Unavailable)?;
            let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            // The client has tried a failed call again already.
            let answer = call.send().await.map_err(|_| Unavailable)?;
            // A fault of ours would be one the next time, too.
            if answer.failed().iter().any(aws_sdk_sqs::types::BatchResultErrorEntry::sender_fault) {
                return Err(Unavailable);
            }
            let failed = |id: usize| answer.failed().iter().any(|entry| entry.id() == id.to_string());
            let mut id = 0..;
            bodies.retain(|_| id.next().is_some_and(failed));
            if bodies.is_empty() {
                return Ok(());
            }
        }
        Err(Unavailable)
    }
}

impl DeadLetterQueue for SqsDeadLetterQueue {
    async fn send(&self, letters: Vec<DeadLetter>) -> Result<(), Unavailable> {
        let puts = calls(letters.iter().map(body)).into_iter().map(|bodies| self.put(bodies));
        let puts = timeout(self.deadline, join_all(puts)).await.map_err(|_| Unavailable)?;
        puts.into_iter().collect()
    }
}

/// The bodies of each call.
fn calls(bodies: impl Iterator<Item = String>) -> Vec<Vec<String>> {
    let mut calls: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for body in bodies {
        bytes += body.len();
        match calls.last_mut() {
            Some(call) if call.len() < MAX_CALL_MESSAGES && bytes <= MAX_CALL_BYTES => call.push(body),
            _ => {
                bytes = body.len();
                calls.push(vec![body]);
            }
        }
    }
    calls
}

fn body(letter: &DeadLetter) -> String {
    let json = json!({
        "line": base64_simd::STANDARD.encode_to_string(&letter.line),
        "length": letter.length,
        "code": letter.code,
        "message": letter.message,
        "sequence": letter.sequence.as_str(),
        "index": letter.index,
        "arrival_ms": letter.arrival,
    });
    ascii(&json.to_string())
}

/// The same JSON in ASCII. Beyond it only strings hold characters.
fn ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(ascii, "\\u{unit:04x}").expect("a string takes all");
        }
    }
    ascii
}

#[cfg(test)]
mod tests;
