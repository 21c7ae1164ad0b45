//! The dead-letter queue of refused events, on Amazon SQS.
//!
//! The body of a message is a JSON object in ASCII: `line` (bytes of the line in Base64), `length` (bytes of
//! the whole line), `code`, `message`, `sequence` (of the record), `index` (of the line in the record) and
//! `arrival_ms` (since the epoch). The line is in Base64 because SQS accepts only characters that XML allows.

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

/// Messages of one call (`SendMessageBatch`, Amazon SQS API reference).
const MAX_CALL_MESSAGES: usize = 10;

/// Bytes of all bodies of one call, and of a single body (`SendMessageBatch`, Amazon SQS API reference).
const MAX_CALL_BYTES: usize = 1 << 20;

/// Attempts at one message: SQS usually accepts a moment later what it refused because of a fault of its own.
const MAX_ATTEMPTS: usize = 3;

/// A dead-letter queue on Amazon SQS.
#[derive(Clone, Debug)]
pub struct SqsDeadLetterQueue {
    client: Client,
    url: String,
    deadline: Duration,
}

impl SqsDeadLetterQueue {
    /// The queue at `url`. Each batch of dead letters is sent within `deadline`.
    #[must_use]
    pub fn new(client: Client, url: String, deadline: Duration) -> Self {
        Self { client, url, deadline }
    }

    /// The queue at `url`, with a client that connects at the first call.
    #[must_use]
    pub fn at(config: &SdkConfig, url: String, deadline: Duration) -> Self {
        Self::new(Client::new(config), url, deadline)
    }

    /// Sends the messages of one call, and again those that SQS refused.
    async fn send_call(&self, mut bodies: Vec<String>) -> Result<(), Unavailable> {
        for _ in 0..MAX_ATTEMPTS {
            let entries = bodies.iter().enumerate().map(|(id, body)| {
                SendMessageBatchRequestEntry::builder().id(id.to_string()).message_body(body).build()
            });
            let entries: Vec<_> = entries.collect::<Result<_, _>>().map_err(|_| Unavailable)?;
            let call = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            // The client has already retried a failed call.
            let response = call.send().await.map_err(|_| Unavailable)?;
            // A sender fault would recur.
            if response.failed().iter().any(aws_sdk_sqs::types::BatchResultErrorEntry::sender_fault) {
                return Err(Unavailable);
            }
            let failed = |id: usize| response.failed().iter().any(|entry| entry.id() == id.to_string());
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
    async fn send(&self, dead_letters: Vec<DeadLetter>) -> Result<(), Unavailable> {
        let calls = calls(dead_letters.iter().map(body)).into_iter().map(|bodies| self.send_call(bodies));
        let sent = timeout(self.deadline, join_all(calls)).await.map_err(|_| Unavailable)?;
        sent.into_iter().collect()
    }
}

/// Splits the bodies into calls.
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

fn body(dead_letter: &DeadLetter) -> String {
    let json = json!({
        "line": base64_simd::STANDARD.encode_to_string(&dead_letter.line),
        "length": dead_letter.length,
        "code": dead_letter.code,
        "message": dead_letter.message,
        "sequence": dead_letter.sequence.as_str(),
        "index": dead_letter.index,
        "arrival_ms": dead_letter.arrival,
    });
    ascii(&json.to_string())
}

/// The same JSON in ASCII. Other characters occur only within strings, where they can be escaped.
fn ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            ascii.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(ascii, "\\u{unit:04x}").expect("writing to a string cannot fail");
        }
    }
    ascii
}

#[cfg(test)]
mod tests;
