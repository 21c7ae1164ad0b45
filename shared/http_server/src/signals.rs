//! Signals: those that stop a process, SIGINT and SIGTERM, and SIGXFSZ, which must not end it.

use std::io;

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Handlers of SIGINT and SIGTERM.
#[derive(Debug)]
pub struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The system refused a handler.
    pub fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Completes with the next signal.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// The number of SIGXFSZ.
const FILE_SIZE_LIMIT: SignalKind = SignalKind::from_raw(25);

/// Lets a write beyond the limit of file sizes fail, as on a full disk: by default its signal ends the process.
pub fn fail_writes_beyond_the_file_size_limit() {
    if let Ok(runtime) = runtime::Builder::new_current_thread().enable_io().build() {
        let _context = runtime.enter();
        // The handler stays installed. If the system refuses it, the default stays.
        drop(signal(FILE_SIZE_LIMIT));
    }
}
