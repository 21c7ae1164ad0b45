//! The past of a city's log: the entries of the time of a tick, found by bisection over their numbers.

use std::time::Duration;

use equilibrium_app::checkpoint::ports::{CheckpointKey, Loaded, PastLog};
use equilibrium_app::unavailable::Unavailable;
use tokio::time::Instant;

use super::{AS_OF, Checkpoints, LOG, N, PAGE_ITEMS, StoredEntry, log_span};
use crate::dynamodb::item::{EXPIRES, Item, now_s, number, read_number, text};
use crate::retry::{log_unavailable, with_deadline};

/// Limit of finding and reading a part of a log: some twenty small requests, one after the other, and a few large ones.
const PAST_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages of expired entries that are passed over to find the oldest that are kept.
const MAX_EXPIRED_PAGES: usize = 5;

/// The position of an entry.
struct Mark {
    number: u64,
    /// The newest tick that had closed before it; `None` if that is unknown or the entry has expired.
    as_of: Option<i64>,
}

impl Checkpoints {
    /// The first entry with this number or a later one, or the last of all.
    async fn mark(&self, log: &CheckpointKey, from: Option<u64>) -> Result<Option<Mark>, Unavailable> {
        let request = self
            .table
            .query()
            .key_condition_expression("#log = :log AND #n >= :from")
            .projection_expression("#n, #as_of, #expires")
            .expression_attribute_names("#log", LOG)
            .expression_attribute_names("#n", N)
            .expression_attribute_names("#as_of", AS_OF)
            .expression_attribute_names("#expires", EXPIRES)
            .expression_attribute_values(":log", text(log.to_string()))
            .expression_attribute_values(":from", number(from.unwrap_or(0)))
            .scan_index_forward(from.is_some())
            .limit(1);
        let page = request.send().await.map_err(|error| log_unavailable("Query", &error))?;
        let item = page.items.and_then(|items| items.into_iter().next());
        Ok(item.and_then(|item| Mark::read(&item)))
    }

    /// The number of the entry that closed `tick`, or of the last one if none has.
    async fn closing_entry(&self, log: &CheckpointKey, tick: i64) -> Result<Option<u64>, Unavailable> {
        let Some(last) = self.mark(log, None).await? else { return Ok(None) };
        // The first entry before which the tick had closed has a number from `low` to `high`.
        let (mut low, mut high) = (0, last.number + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.mark(log, Some(middle)).await? {
                Some(mark) if mark.as_of.is_none_or(|as_of| as_of < tick) => low = mark.number + 1,
                _ => high = middle,
            }
        }
        Ok(high.checked_sub(1))
    }

    /// The items from entry `first` on and before the next snapshot, of one page; `None` as a first is the oldest part.
    async fn part_from(
        &self,
        log: &CheckpointKey,
        first: Option<u64>,
    ) -> Result<Vec<StoredEntry>, Unavailable> {
        let mut items: Vec<StoredEntry> = Vec::new();
        let mut from = None;
        let pages = if first.is_some() { 1 } else { MAX_EXPIRED_PAGES };
        for _ in 0..pages {
            let request = self
                .table
                .query()
                .key_condition_expression("#log = :log AND #n >= :first")
                .expression_attribute_names("#log", LOG)
                .expression_attribute_names("#n", N)
                .expression_attribute_values(":log", text(log.to_string()))
                .expression_attribute_values(":first", number(first.unwrap_or(0)))
                .limit(2 * PAGE_ITEMS)
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(|error| log_unavailable("Query", &error))?;
            let now_s = now_s();
            let read =
                page.items.unwrap_or_default().into_iter().filter_map(|item| StoredEntry::read(item, log));
            for entry in read.filter(|entry| entry.expires > now_s) {
                let begins = entry.snapshot.is_some() || entry.number == 0;
                if begins && (first.is_some() || !items.is_empty()) {
                    return Ok(items);
                }
                if begins || first.is_some() || !items.is_empty() {
                    items.push(entry);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() || !items.is_empty() {
                break;
            }
        }
        Ok(items)
    }

    async fn find_past(&self, log: &CheckpointKey, tick: i64) -> Result<Option<Loaded>, Unavailable> {
        let Some(closing) = self.closing_entry(log, tick).await? else { return Ok(None) };
        let mut items = self.newest_items(log, Some(closing)).await?;
        let begins = items.first().is_some_and(|first| first.snapshot.is_some() || first.number == 0);
        if begins {
            items.extend(self.part_from(log, Some(closing + 1)).await?);
        } else {
            items = self.part_from(log, None).await?;
        }
        if items.is_empty() {
            return Ok(None);
        }
        self.loaded(log, items).await.map(Some)
    }
}

impl Mark {
    fn read(item: &Item) -> Option<Self> {
        let is_kept = read_number(item, EXPIRES)? > now_s();
        let as_of = item.get(AS_OF).and_then(|as_of| as_of.as_n().ok()?.parse().ok());
        Some(Self { number: read_number(item, N)?, as_of: as_of.filter(|_| is_kept) })
    }
}

impl PastLog for Checkpoints {
    async fn load_past(&self, log: &CheckpointKey, tick: i64) -> Result<Option<Loaded>, Unavailable> {
        with_deadline(Instant::now() + PAST_TIMEOUT, log_span(log), self.find_past(log, tick)).await
    }
}
