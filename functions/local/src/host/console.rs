//! Output to stdout without waiting for its reader.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Texts that the console may be behind.
const MAX_TEXTS_BEHIND: usize = 64;

/// How long the end of a command waits for the console.
const FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The thread that writes to stdout: a terminal that is paused, or a pipe that nothing reads, blocks it alone.
static CONSOLE: LazyLock<SyncSender<Message>> = LazyLock::new(|| {
    let (sender, messages) = sync_channel(MAX_TEXTS_BEHIND);
    // If the system refuses a thread, nothing is printed.
    drop(thread::Builder::new().name("console".into()).spawn(move || write(&messages)));
    sender
});

enum Message {
    Text(String),
    Flush(SyncSender<()>),
}

fn write(messages: &Receiver<Message>) {
    let mut out = io::stdout();
    for message in messages {
        match message {
            // A closed stdout is ignored.
            Message::Text(text) => drop(out.write_all(text.as_bytes()).and_then(|()| out.flush())),
            Message::Flush(done) => drop(done.send(())),
        }
    }
}

/// Prints `text` to stdout, without waiting. If stdout is too far behind, the text is dropped.
pub fn print(text: &str) {
    drop(CONSOLE.try_send(Message::Text(text.to_owned())));
}

/// Waits until everything is printed, but not long.
pub fn flush() {
    let (done, flushed) = sync_channel(1);
    if CONSOLE.try_send(Message::Flush(done)).is_ok() {
        let _flushed = flushed.recv_timeout(FLUSH_TIMEOUT);
    }
}
