//! The threads of a server, tried before it starts: its runtime panics if the system refuses one.

use std::io;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};

/// The number of threads that a server may have at once with `others` beside those that serve its sockets, one for each core.
#[must_use]
pub fn needed(others: usize) -> usize {
    thread::available_parallelism().map_or(1, usize::from) + others
}

/// Starts as many threads as a server needs with `others`, and ends them.
///
/// # Errors
/// The system's, if it refuses one.
pub fn check(others: usize) -> io::Result<()> {
    check_with(needed(others), |end: Receiver<()>| {
        thread::Builder::new().spawn(move || {
            let _ended = end.recv();
        })
    })
}

/// Starts `count` threads with `start`, each of which ends with what its receiver receives.
fn check_with(count: usize, start: impl Fn(Receiver<()>) -> io::Result<JoinHandle<()>>) -> io::Result<()> {
    let mut threads = Vec::with_capacity(count);
    let mut refused = None;
    while threads.len() < count && refused.is_none() {
        let (ends, end) = channel();
        match start(end) {
            Ok(thread) => threads.push((thread, ends)),
            Err(error) => refused = Some(error),
        }
    }
    for (thread, ends) in threads {
        drop(ends);
        drop(thread.join());
    }
    refused.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn all_threads_are_tried_at_once_and_none_stays() {
        check(3).unwrap();
        let started = Cell::new(0);
        let limited = |end: Receiver<()>| {
            if started.replace(started.get() + 1) == 5 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            thread::Builder::new().spawn(move || end.recv().unwrap_or_default())
        };
        assert_eq!(check_with(9, limited).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(started.get(), 6, "it ends with the first that is refused");
    }
}
