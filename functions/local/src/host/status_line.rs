//! What goes on, second by second: one line that renews itself on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use equilibrium_domain::policy::Multiplier;
use equilibrium_domain::surge::fallback::Fallback;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::pipeline_thread::Progress;
use super::router::LocalApi;
use equilibrium_embedded::store::Store;

/// One second.
#[derive(Debug)]
struct StatusLine {
    events_per_s: u64,
    cells: usize,
    surging: usize,
    highest: Multiplier,
    /// Of the oldest map; nothing before the first tick of all cities.
    age_ms: Option<i64>,
    late: u64,
    refused: u64,
    trouble: Option<Arc<str>>,
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events_per_s, cells, surging, highest, late, refused, .. } = self;
        let (whole, part) = (highest.hundredths() / 100, highest.hundredths() % 100);
        write!(
            f,
            "events/s {events_per_s:>6}  cells {cells:>5}  surging {surging:>4}  highest {whole}.{part:02}x"
        )?;
        match self.age_ms {
            Some(ms) => write!(f, "  age {:>3}.{} s", ms / 1000, ms % 1000 / 100)?,
            None => write!(f, "  age   none")?,
        }
        write!(f, "  late {late}  refused {refused}")?;
        match &self.trouble {
            Some(trouble) => write!(f, "  NO EVENT IS TAKEN, the disk fails: {trouble}"),
            None => Ok(()),
        }
    }
}

/// Writes a line each second until the process stops.
pub async fn run(
    host: Arc<LocalApi>,
    store: Store,
    progress: watch::Receiver<Progress>,
    mut stop: watch::Receiver<bool>,
) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    seconds.tick().await;
    let (mut before, _) = host.ingest_totals();
    loop {
        tokio::select! {
            _ = seconds.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let second = look(&host, &store, &progress, &mut before).await;
        let mut out = io::stdout().lock();
        let written =
            if out.is_terminal() { write!(out, "\r{second}\x1b[K") } else { writeln!(out, "{second}") };
        // Whoever closed the output does not want to know.
        drop(written.and_then(|()| out.flush()));
    }
}

async fn look(
    host: &LocalApi,
    store: &Store,
    progress: &watch::Receiver<Progress>,
    before: &mut u64,
) -> StatusLine {
    let now_ms = store.clock().now_ms();
    let (accepted, refused) = host.ingest_totals();
    let mut second = StatusLine {
        events_per_s: accepted - std::mem::replace(before, accepted),
        cells: 0,
        surging: 0,
        highest: Multiplier::ONE,
        age_ms: None,
        late: progress.borrow().late,
        refused,
        trouble: store.write_error(),
    };
    for book in host.book().cities(None) {
        let policy = &book.pricing.policy;
        let Some(map) = host.maps().map(&policy.city, policy.clock, now_ms).await else { continue };
        second.age_ms = second.age_ms.max(Fallback::new(policy, Some(map.head().as_of), now_ms).age_ms);
        for row in (0..=u8::MAX).take(map.head().products.len()).flat_map(|product| map.rows(product)) {
            second.cells += 1;
            second.surging += usize::from(row.multiplier > Multiplier::ONE);
            second.highest = second.highest.max(row.multiplier);
        }
    }
    second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_one_line() {
        let second = StatusLine {
            events_per_s: 672,
            cells: 1043,
            surging: 37,
            highest: Multiplier::new(240).unwrap(),
            age_ms: Some(5_349),
            late: 2,
            refused: 1,
            trouble: None,
        };
        let line =
            "events/s    672  cells  1043  surging   37  highest 2.40x  age   5.3 s  late 2  refused 1";
        assert_eq!(second.to_string(), line);
        let ill = StatusLine { age_ms: None, trouble: Some("no space left".into()), ..second };
        let line = ill.to_string();
        assert!(line.contains("age   none") && line.ends_with("the disk fails: no space left"), "{line}");
    }
}
