//! The contract of the dead-letter queue.

use crate::count::dead_letters::{MAX_DEAD_LETTER_LINE_BYTES, MAX_DEAD_LETTERS_PER_BATCH};
use crate::count::ports::{DeadLetter, DeadLetterQueue};

use super::without_repeats;

/// The contract of [`DeadLetterQueue`], which must be empty. `read` returns all dead letters, in any order.
///
/// # Panics
/// If the adapter breaks it.
pub async fn dead_letter_queue(queue: &impl DeadLetterQueue, read: impl AsyncFn() -> Vec<DeadLetter>) {
    let one = letter(1, 0, "{\"city\":\"Zürich\"}".as_bytes(), "bad_field");
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut batch = vec![
        letter(2, 0, b"", "malformed_json"),
        letter(2, 1, &every_byte, "malformed_json"),
        DeadLetter { length: 10 << 20, ..letter(2, 2, &[b'x'; MAX_DEAD_LETTER_LINE_BYTES], "too_large") },
    ];
    // As many as a batch may have, which is more than one request carries.
    batch.extend((3..MAX_DEAD_LETTERS_PER_BATCH).map(|index| letter(2, index, b"{}", "missing_field")));

    queue.send(vec![one.clone()]).await.expect("sent");
    queue.send(batch.clone()).await.expect("sent");
    let mut received = without_repeats(read().await);
    received.sort_by(|a, b| (&a.sequence, a.index).cmp(&(&b.sequence, b.index)));
    assert_eq!(received.len(), 1 + batch.len(), "a dead letter was lost or changed");
    assert!(received[0] == one && received[1..] == batch, "a dead letter was changed");
}

fn letter(sequence: u64, index: usize, line: &[u8], code: &'static str) -> DeadLetter {
    DeadLetter {
        line: line.to_vec(),
        length: line.len(),
        code,
        message: format!("refused as {code}"),
        sequence: sequence.into(),
        index,
        arrival_ms: 1_772_816_410_612,
    }
}
