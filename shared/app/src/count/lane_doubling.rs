//! How the log of a range of lanes begins where the lanes of the stream have doubled.
//!
//! The log of the range that its lanes come from is ended, so that no instance counts for half as many lanes any more;
//! each range then begins with its share of the state that it ends with (ARCHITECTURE.md, "Lanes that double").

use equilibrium_domain::count::lane_range::LaneRange;
use equilibrium_domain::count::range_state::LaneRangeState;
use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::id::LaneCount;

use crate::checkpoint::parking;
use crate::checkpoint::ports::{CheckpointKey, CheckpointLog, Loaded};
use crate::checkpoint::process::{LoadError, Origin};
use crate::checkpoint::replay::{Replayed, replay};
use crate::unavailable::Unavailable;

/// The beginning of the log of `range`, if one of half as many lanes, or of a quarter and so on, has entries. What the
/// newest of them left undelivered is delivered first.
///
/// # Errors
/// [`LoadError`].
pub(super) async fn origin<D>(
    log: &impl CheckpointLog,
    range: LaneRange,
    deliver: impl FnOnce(LaneCount, <LaneRangeState as EventSourced>::Output) -> D,
) -> Result<Option<Origin<LaneRangeState>>, LoadError>
where
    D: Future<Output = Result<(), Unavailable>>,
{
    let lanes = range.lane_count();
    let mut ancestor = loop {
        let Some(ancestor) = nearest_ancestor(log, range).await? else { return Ok(None) };
        match ancestor.doubled_to() {
            // This instance was started before the lanes doubled.
            Some(doubled_to) if doubled_to > lanes => return Err(LoadError::Outdated),
            // They doubled more than once, and no record has come in between.
            Some(doubled_to) if doubled_to < lanes => {
                begin_between(log, &ancestor, range, doubled_to).await?;
            }
            _ => break ancestor,
        }
    };
    if ancestor.doubled_to().is_none() {
        if let Some(output) = ancestor.take_output() {
            deliver(ancestor.range().lane_count(), output).await?;
        }
        let last = ancestor.end(lanes);
        log.append(&CheckpointKey::Lanes(ancestor.range()), &last).await?;
    }
    let mut state = ancestor.descend(range).map_err(LoadError::Corrupt)?;
    let (first, snapshot) = state.begin_continued();
    Ok(Some(Origin { snapshot, first, state }))
}

/// Begins the log of the range among `lanes` that `range` comes from and that continues the `ancestor`'s log.
async fn begin_between(
    log: &impl CheckpointLog,
    ancestor: &LaneRangeState,
    range: LaneRange,
    lanes: LaneCount,
) -> Result<(), LoadError> {
    let mut between = range;
    while between.lane_count() > lanes {
        between = between.parent().ok_or(LoadError::Outdated)?;
    }
    let mut state = ancestor.descend(between).map_err(LoadError::Corrupt)?;
    log.append(&CheckpointKey::Lanes(between), &state.begin_continued().0).await?;
    Ok(())
}

/// The state of the nearest range with a log that the lanes of `range` come from.
async fn nearest_ancestor(
    log: &impl CheckpointLog,
    range: LaneRange,
) -> Result<Option<LaneRangeState>, LoadError> {
    // The logs from the nearest on, up to the first that can be read without an older one.
    let mut logs: Vec<(LaneRange, Loaded)> = Vec::new();
    let mut ancestor = range.parent();
    while let Some(range) = ancestor {
        let key = CheckpointKey::Lanes(range);
        let loaded = log.load(&key, None).await?;
        if let Some(first) = loaded.entries.first() {
            // Of a log that was resumed without its entries, the waiting records may be all that is left.
            if logs.is_empty() && !parking::waiting(log, &key).await?.is_empty() {
                return Err(LoadError::ParkedOrigin);
            }
            let needs_older = loaded.snapshot.is_none() && LaneRangeState::is_continued(first);
            logs.push((range, loaded));
            if !needs_older {
                break;
            }
        }
        ancestor = range.parent();
    }
    let mut state: Option<LaneRangeState> = None;
    while let Some((range, mut loaded)) = logs.pop() {
        if let Some(older) = state {
            let mut begun = older.descend(range).map_err(LoadError::Corrupt)?;
            loaded.snapshot = Some(begun.begin_continued().1);
        }
        state = match replay(&range, &loaded) {
            Replayed::Ready { state, .. } => state,
            Replayed::Corrupt(corrupt) => return Err(LoadError::Corrupt(corrupt)),
            Replayed::Parked => return Err(LoadError::ParkedOrigin),
        };
    }
    Ok(state)
}
