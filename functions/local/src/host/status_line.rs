//! Prints the state of the process every second: one line that is rewritten on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::Duration;

use equilibrium_app::notify::change::Pulse;
use equilibrium_app::policy::ports::PolicySource;
use equilibrium_app::price::city_view::CityView;
use equilibrium_domain::policy::Multiplier;
use equilibrium_embedded::store::Store;
use equilibrium_local_pipeline::instances::Progress;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::host::console::print;
use crate::host::router::LocalApi;

/// The state in one second.
#[derive(Debug)]
struct StatusLine {
    events_per_s: u64,
    cells: usize,
    surging: usize,
    highest: Multiplier,
    /// Age of the oldest map; `None` before the first tick of any city.
    age_ms: Option<i64>,
    late: u64,
    refused: u64,
    /// Entities that were dropped because a city had too many.
    evicted: u64,
    corrupt: u64,
    write_error: Option<Arc<str>>,
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events_per_s, cells, surging, highest, late, refused, .. } = self;
        let (whole, part) = (highest.hundredths() / 100, highest.hundredths() % 100);
        // 80 columns for usual figures: a longer line would wrap on a terminal, and scroll.
        write!(f, "{events_per_s} events/s, {cells} cells, {surging} surging, max {whole}.{part:02}x")?;
        match self.age_ms {
            Some(ms) => write!(f, ", age {}.{} s", ms / 1000, ms % 1000 / 100)?,
            None => write!(f, ", age none")?,
        }
        write!(f, ", late {late}, refused {refused}")?;
        for (count, what) in [(self.evicted, "evicted"), (self.corrupt, "LOG ENTRIES CORRUPT")] {
            if count > 0 {
                write!(f, ", {what} {count}")?;
            }
        }
        match &self.write_error {
            Some(error) => write!(f, ", INGEST STOPPED: write failed: {error}"),
            None => Ok(()),
        }
    }
}

/// Prints a line each second until `stop` is true.
pub async fn run(
    api: Arc<LocalApi>,
    store: Store,
    progress: watch::Receiver<Progress>,
    mut stop: watch::Receiver<bool>,
) {
    let mut seconds = interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    seconds.tick().await;
    // A dumb terminal has no escape sequences.
    let rewrites = io::stdout().is_terminal() && std::env::var_os("TERM").is_some_and(|name| name != "dumb");
    let (mut accepted_before, _) = api.ingest_totals();
    loop {
        tokio::select! {
            _ = seconds.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let line = sample(&api, &store, &progress, &mut accepted_before).await;
        if let Some(jump) = store.clock().take_jump() {
            print(&format!("\n{jump}\n"));
        }
        print(&if rewrites { format!("\r{line}\x1b[K") } else { format!("{line}\n") });
    }
}

async fn sample(
    api: &LocalApi,
    store: &Store,
    progress: &watch::Receiver<Progress>,
    accepted_before: &mut u64,
) -> StatusLine {
    let now_ms = store.clock().now_ms();
    let (accepted, refused) = api.ingest_totals();
    let Progress { late, evicted, corrupt, .. } = *progress.borrow();
    let mut line = StatusLine {
        events_per_s: accepted - std::mem::replace(accepted_before, accepted),
        cells: 0,
        surging: 0,
        highest: Multiplier::ONE,
        age_ms: None,
        late,
        refused,
        evicted,
        corrupt,
        write_error: store.write_error(),
    };
    let policies = api.policies().policies(now_ms).await;
    for city in policies.iter().flat_map(|policies| policies.cities(None)) {
        let policy = &city.pricing.policy;
        let view = CityView::read(city, api.maps(), now_ms).await;
        let Some(as_of_ms) = view.as_of_ms() else { continue };
        store.clock().tick_closed(as_of_ms + policy.clock.lateness_ms, policy.clock.tick_ms);
        api.changes().record_mode(&policy.city, view.as_of_ms(), view.fallback.mode, now_ms);
        api.changes().record_bounds(city, now_ms).await;
        line.age_ms = line.age_ms.max(view.fallback.age_ms);
        for reported in view.products().flat_map(|product| view.listed(product)) {
            line.cells += 1;
            line.surging += usize::from(reported.multiplier > Multiplier::ONE);
            line.highest = line.highest.max(reported.multiplier);
        }
    }
    let StatusLine { events_per_s, cells, surging, .. } = line;
    api.changes().record_pulse(Pulse { now_ms, events_per_s, cells, surging });
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_one_line_that_ends_with_the_write_error() {
        let status = StatusLine {
            events_per_s: 672,
            cells: 1043,
            surging: 37,
            highest: Multiplier::new(240).unwrap(),
            age_ms: Some(5_349),
            late: 2,
            refused: 1,
            evicted: 0,
            corrupt: 0,
            write_error: None,
        };
        let line = "672 events/s, 1043 cells, 37 surging, max 2.40x, age 5.3 s, late 2, refused 1";
        assert_eq!(status.to_string(), line);
        assert!(line.len() <= 80);
        let failing =
            StatusLine { age_ms: None, corrupt: 1, write_error: Some("no space left".into()), ..status };
        let line = failing.to_string();
        assert!(line.contains("age none") && line.contains("LOG ENTRIES CORRUPT 1"), "{line}");
        assert!(line.ends_with("INGEST STOPPED: write failed: no space left"), "{line}");
    }
}
