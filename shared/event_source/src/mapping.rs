//! All shards of a stream: who may be read, since all its ancestors are done, and how far each is.

use std::collections::{HashMap, HashSet};

use crate::record::{Listed, Position};
use crate::settings::{Settings, SettingsError};
use crate::shard::Shard;
use equilibrium_lambda::kinesis::encode::{Envelope, Stream};
use equilibrium_lambda::kinesis::record::ShardId;

/// The mapping of one stream to one function.
///
/// A child is not read until every parent was read to its end and all its records are done; as that
/// holds for the parents too, all ancestors are done. A parent that the stream no longer lists, and of
/// which nothing is under way here, has expired and counts as done.
#[derive(Debug)]
pub struct EventSourceMapping {
    settings: Settings,
    stream: Stream,
    shards: Vec<TrackedShard>,
    /// Positions of shards that were not listed yet.
    saved: HashMap<ShardId, Position>,
}

/// A shard and its place in the line of descent.
#[derive(Debug)]
struct TrackedShard {
    parents: Vec<ShardId>,
    shard: Shard,
    /// All its ancestors are done.
    open: bool,
    /// And so is it.
    drained: bool,
}

impl EventSourceMapping {
    /// A mapping that goes on from the `saved` positions; a shard without one begins at its oldest record.
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

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Takes the stream's complete list of shards. Done shards that are not in it are forgotten.
    pub fn list(&mut self, listed: Vec<Listed>) {
        let Self { stream, shards: lines, saved, .. } = self;
        let names: HashSet<&ShardId> = listed.iter().map(|listed| &listed.id).collect();
        lines.retain(|line| !line.drained || names.contains(line.shard.id()));
        let mut known: HashSet<ShardId> = lines.iter().map(|line| line.shard.id().clone()).collect();
        for Listed { id, parents } in listed {
            if !known.insert(id.clone()) {
                continue;
            }
            let position = saved.remove(&id).unwrap_or_default();
            let shard = Shard::new(Envelope::new(stream, id), position);
            lines.push(TrackedShard { parents, shard, open: false, drained: false });
        }
        self.open();
    }

    /// The shards that may be read and invoked for.
    pub fn readable(&mut self) -> impl Iterator<Item = &mut Shard> {
        self.shards.iter_mut().filter(|line| line.open && !line.drained).map(|line| &mut line.shard)
    }

    /// Opens the children of shards that are finished by now; says whether any shard newly is.
    pub fn open_children(&mut self) -> bool {
        let mut any = false;
        while self.pass() {
            any = true;
            self.open();
        }
        any
    }

    /// How far each shard is done, those included that were saved and are not listed yet.
    pub fn positions(&self) -> impl Iterator<Item = (&ShardId, &Position)> {
        let known = self.shards.iter().map(|line| (line.shard.id(), line.shard.position()));
        known.chain(&self.saved)
    }

    /// How far `shard` is done; none if nothing is known of it.
    #[must_use]
    pub fn position(&self, shard: &ShardId) -> Option<&Position> {
        let line = self.shards.iter().find(|line| line.shard.id() == shard);
        line.map(|line| line.shard.position()).or_else(|| self.saved.get(shard))
    }

    /// Whether every shard it knows is finished.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shards.iter().all(|line| line.drained)
    }

    /// How many records are gathered and not yet done.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.shards.iter().map(|line| line.shard.backlog()).sum()
    }

    /// When something is next due on any shard that may be read.
    #[must_use]
    pub fn due_at(&self) -> Option<i64> {
        let readable = self.shards.iter().filter(|line| line.open && !line.drained);
        readable.filter_map(|line| line.shard.due_at(&self.settings)).min()
    }

    fn pass(&mut self) -> bool {
        let mut any = false;
        for line in &mut self.shards {
            if line.open && !line.drained && line.shard.is_finished() {
                line.drained = true;
                any = true;
            }
        }
        any
    }

    fn open(&mut self) {
        let pending = self.shards.iter().filter(|line| !line.drained);
        let pending: HashSet<ShardId> = pending.map(|line| line.shard.id().clone()).collect();
        for line in self.shards.iter_mut().filter(|line| !line.open) {
            line.open = !line.parents.iter().any(|parent| pending.contains(parent));
        }
    }
}
