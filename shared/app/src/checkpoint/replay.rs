//! A state from what its log holds.

use equilibrium_domain::event_sourced::EventSourced;
use equilibrium_domain::parking::{Epoch, LogMark};
use equilibrium_domain::wire::{Corrupt, Kind};

use crate::checkpoint::ports::Loaded;

/// The state at the end of a log.
#[derive(Debug)]
pub(crate) enum Replayed<S> {
    /// The state, `None` where the log has no entry of one, and the log's epoch. Its parked records may wait for it, if it
    /// was parked.
    Ready { state: Option<S>, epoch: Epoch, was_parked: bool },
    /// The log is parked.
    Parked,
    /// The log cannot be read.
    Corrupt(Corrupt),
}

/// The state at the end of a log that was loaded from its newest snapshot on.
pub(crate) fn replay<S: EventSourced>(identity: &S::Identity, loaded: &Loaded) -> Replayed<S> {
    let before = || match &loaded.snapshot {
        Some(snapshot) => S::restore(identity, snapshot).map(Some),
        None if loaded.first == 0 => Ok(None),
        None => Err(Corrupt::NotThis { kind: Kind::LaneSnapshot }),
    };
    let mut state = before();
    let mut epoch = epoch_before(&state, loaded);
    let (mut is_parked, mut was_parked, mut readable) = (false, false, 0);
    for (index, (number, entry)) in (loaded.first..).zip(&loaded.entries).enumerate() {
        match LogMark::decode(entry) {
            Some(LogMark::Parked { .. }) => (is_parked, was_parked) = (true, true),
            Some(LogMark::Resumed) => is_parked = false,
            Some(LogMark::Restarted) => {
                is_parked = false;
                if state.is_err() {
                    let entries = loaded.entries[..readable].to_vec();
                    state = readable_state(identity, before(), &Loaded { entries, ..loaded.clone() });
                }
            }
            Some(LogMark::Emptied) => {}
            Some(LogMark::Fenced(raised)) => epoch = epoch.max(raised),
            None => {
                state = state.and_then(|before| S::replay(before, identity, number, entry).map(Some));
                if state.is_ok() {
                    readable = index + 1;
                }
                continue;
            }
        }
        if let Ok(Some(state)) = &mut state {
            state.raise_epoch(epoch);
            state.skip_to(number + 1);
        }
    }
    match state {
        _ if is_parked => Replayed::Parked,
        Ok(state) => Replayed::Ready { state, epoch, was_parked },
        Err(corrupt) => Replayed::Corrupt(corrupt),
    }
}

/// The epoch before the first of the entries: that of the snapshot. One that cannot be read may have had any; each has taken
/// an entry, so that the number of the entries before is no lower.
pub(super) fn epoch_before<S: EventSourced>(before: &Result<Option<S>, Corrupt>, loaded: &Loaded) -> Epoch {
    match before {
        Ok(state) => state.as_ref().map_or(Epoch::default(), EventSourced::epoch),
        Err(_) => Epoch(loaded.first),
    }
}

/// The state after entries that were all readable, without what cannot be read: nothing, if that is the snapshot.
fn readable_state<S: EventSourced>(
    identity: &S::Identity,
    before: Result<Option<S>, Corrupt>,
    loaded: &Loaded,
) -> Result<Option<S>, Corrupt> {
    let Ok(mut state) = before else { return Ok(None) };
    for (number, entry) in (loaded.first..).zip(&loaded.entries) {
        match LogMark::decode(entry) {
            None => state = Some(S::replay(state, identity, number, entry)?),
            Some(mark) => {
                if let Some(state) = &mut state {
                    if let LogMark::Fenced(epoch) = mark {
                        state.raise_epoch(epoch);
                    }
                    state.skip_to(number + 1);
                }
            }
        }
    }
    Ok(state)
}

/// The state after the entries that follow it, which are no marks; `None` where they are anything else.
pub(crate) fn catch_up<S: EventSourced>(state: S, identity: &S::Identity, loaded: &Loaded) -> Option<S> {
    if loaded.snapshot.is_some() || loaded.first != state.next_entry() {
        return None;
    }
    let mut state = Some(state);
    for (number, entry) in (loaded.first..).zip(&loaded.entries) {
        state = Some(S::replay(state, identity, number, entry).ok()?);
    }
    state
}
