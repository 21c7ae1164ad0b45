//! All shards of a stream: which may be read because all their ancestors are done, and how far each is done.

use std::collections::{HashMap, HashSet};

use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::ShardId;

use crate::record::{Listed, Position};
use crate::settings::{Settings, SettingsError};
use crate::shard::Shard;

/// The mapping of one stream to one function.
///
/// A child is not read until every parent has been read to its end and all its records are done; as the parents wait
/// in the same way, all ancestors are done. A parent that the stream no longer lists and that has no unfinished
/// records here has expired and counts as done.
#[derive(Debug)]
pub struct EventSourceMapping {
    settings: Settings,
    stream: Stream,
    shards: Vec<TrackedShard>,
    /// Positions of shards that have not been listed yet.
    saved: HashMap<ShardId, Position>,
}

/// A shard and its place in the stream's lineage.
#[derive(Debug)]
struct TrackedShard {
    parents: Vec<ShardId>,
    shard: Shard,
    /// Whether all its ancestors are done.
    open: bool,
    /// Whether the shard itself is done, too.
    drained: bool,
}

impl TrackedShard {
    fn is_readable(&self) -> bool {
        self.open && !self.drained
    }
}

impl EventSourceMapping {
    /// A mapping that resumes from the `saved` positions; a shard without one starts at its oldest record.
    ///
    /// # Errors
    /// [`SettingsError`] if no mapping can have these settings.
    pub fn new(
        settings: Settings,
        stream: Stream,
        saved: impl IntoIterator<Item = (ShardId, Position)>,
    ) -> Result<Self, SettingsError> {
        Ok(Self {
            settings: settings.checked()?,
            stream,
            shards: Vec::new(),
            saved: saved.into_iter().collect(),
        })
    }

    /// The mapping's settings.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Applies the stream's complete list of shards. Forgets drained shards that are not in it.
    pub fn list(&mut self, listed: Vec<Listed>) {
        let ids: HashSet<&ShardId> = listed.iter().map(|listed| &listed.id).collect();
        self.shards.retain(|tracked| !tracked.drained || ids.contains(tracked.shard.id()));
        let mut known: HashSet<ShardId> =
            self.shards.iter().map(|tracked| tracked.shard.id().clone()).collect();
        for Listed { id, parents } in listed {
            if !known.insert(id.clone()) {
                continue;
            }
            let position = self.saved.remove(&id).unwrap_or_default();
            let shard = Shard::new(Envelope::new(&self.stream, id), position);
            self.shards.push(TrackedShard { parents, shard, open: false, drained: false });
        }
        self.open_ready();
    }

    /// The shards that may be read and invoked for.
    pub fn readable(&mut self) -> impl Iterator<Item = &mut Shard> {
        self.shards.iter_mut().filter(|tracked| tracked.is_readable()).map(|tracked| &mut tracked.shard)
    }

    /// Opens the children of shards that have finished; returns whether any shard has finished since the last call.
    pub fn open_children(&mut self) -> bool {
        let mut any = false;
        while self.mark_drained() {
            any = true;
            self.open_ready();
        }
        any
    }

    /// The position of each shard, including saved ones that have not been listed yet.
    pub fn positions(&self) -> impl Iterator<Item = (&ShardId, &Position)> {
        let known = self.shards.iter().map(|tracked| (tracked.shard.id(), tracked.shard.position()));
        known.chain(&self.saved)
    }

    /// The position of `shard`; `None` if the mapping does not know the shard.
    #[must_use]
    pub fn position(&self, shard: &ShardId) -> Option<&Position> {
        let tracked = self.shards.iter().find(|tracked| tracked.shard.id() == shard);
        tracked.map(|tracked| tracked.shard.position()).or_else(|| self.saved.get(shard))
    }

    /// Whether every known shard is finished.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shards.iter().all(|tracked| tracked.drained)
    }

    /// The number of records that are gathered and not yet done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.shards.iter().map(|tracked| tracked.shard.backlog()).sum()
    }

    /// When the next read, invocation or report is due on any readable shard.
    #[must_use]
    pub fn due_at(&self) -> Option<i64> {
        let readable = self.shards.iter().filter(|tracked| tracked.is_readable());
        readable.filter_map(|tracked| tracked.shard.due_at(&self.settings)).min()
    }

    /// Lets no shard wait for a time that was computed before the clock was set back to `now_ms`.
    pub fn clock_set_back(&mut self, now_ms: i64) {
        for tracked in &mut self.shards {
            tracked.shard.clock_set_back(now_ms);
        }
    }

    fn mark_drained(&mut self) -> bool {
        let mut any = false;
        for tracked in &mut self.shards {
            if tracked.is_readable() && tracked.shard.is_finished() {
                tracked.drained = true;
                any = true;
            }
        }
        any
    }

    /// Opens every shard of which no parent is pending.
    fn open_ready(&mut self) {
        let pending = self.shards.iter().filter(|tracked| !tracked.drained);
        let pending: HashSet<ShardId> = pending.map(|tracked| tracked.shard.id().clone()).collect();
        for tracked in self.shards.iter_mut().filter(|tracked| !tracked.open) {
            tracked.open = !tracked.parents.iter().any(|parent| pending.contains(parent));
        }
    }
}
