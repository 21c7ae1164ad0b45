//! Following the change log: each subscriber's filter and place.

use std::collections::HashSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use equilibrium_domain::geo::locate::Cell;
use equilibrium_domain::id::{CityId, ProductId};

use crate::notify::change::{Change, VersionId};
use crate::notify::change_log::{ChangeLog, LoggedChange, LoggedPulse, State};
use crate::price::ports::MapStore;

/// The most changes that a subscriber takes at once.
const MAX_CHANGES: usize = 64;

/// What a subscriber wants: everything, unless a field says less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this city.
    pub city: Option<CityId>,
    /// Only this product.
    pub product: Option<ProductId>,
    /// Only these cells.
    pub cells: Option<HashSet<Cell>>,
}

impl Filter {
    fn includes(&self, change: &Change) -> bool {
        let of_product = |product| self.product.as_ref().is_none_or(|wanted| wanted == product);
        let of_city = |city| self.city.as_ref().is_none_or(|wanted| wanted == city);
        change.city().is_none_or(of_city) && change.product().is_none_or(of_product)
    }
}

/// Where a subscriber begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what follows from now on.
    Newest,
    /// With what follows a version. A version that was sent with several products may be sent again.
    After(VersionId),
    /// After a version that no store has: with a reload.
    Unknown,
}

/// What follows next.
#[derive(Debug)]
pub enum Next {
    /// Changes, in order.
    Changes(Vec<Arc<LoggedChange>>),
    /// The newest pulse.
    Pulse(Arc<LoggedPulse>),
    /// Changes are missing: the map has to be read again. What follows continues from the newest change.
    Reload,
}

/// A subscriber's place in a change log.
#[derive(Debug)]
pub struct Follower<P, M> {
    log: Arc<ChangeLog<P, M>>,
    filter: Filter,
    /// The number of the next change; `None` if changes before it are missing.
    next: Option<u64>,
    /// The number of the next pulse.
    next_pulse: u64,
}

impl<P, M: MapStore> Follower<P, M> {
    /// A subscriber of what `filter` includes.
    #[must_use]
    pub fn new(log: Arc<ChangeLog<P, M>>, filter: Filter, start: &Start) -> Self {
        let next = {
            let state = log.state().lock();
            match start {
                Start::Newest => Some(state.end()),
                Start::After(id) => state.number_after(id, &filter),
                Start::Unknown => None,
            }
        };
        Self { log, filter, next, next_pulse: 0 }
    }

    /// The filter.
    #[must_use]
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Waits for what follows.
    pub async fn next(&mut self) -> Next {
        let log = Arc::clone(&self.log);
        poll_fn(|cx| {
            let state = &mut *log.state().lock();
            let Some(next) = self.take(state) else {
                state.waiting.push(cx.waker().clone());
                return Poll::Pending;
            };
            Poll::Ready(next)
        })
        .await
    }

    fn take(&mut self, state: &State) -> Option<Next> {
        let end = state.end();
        let Some(next) = self.next.filter(|next| *next >= state.first) else {
            self.next = Some(end);
            return Some(Next::Reload);
        };
        let mut unread = state.kept.range(usize::try_from(next - state.first).unwrap_or(usize::MAX)..);
        let included = unread.by_ref().filter(|logged| self.filter.includes(&logged.change));
        let changes: Vec<_> = included.take(MAX_CHANGES).cloned().collect();
        self.next = Some(end - unread.len() as u64);
        if !changes.is_empty() {
            return Some(Next::Changes(changes));
        }
        let pulse = state.pulse.as_ref().filter(|pulse| pulse.number >= self.next_pulse)?;
        self.next_pulse = pulse.number + 1;
        Some(Next::Pulse(Arc::clone(pulse)))
    }
}

impl State {
    /// The number of the first change that a subscriber with this filter may lack who has read up to the version `id`;
    /// `None` if such a change may be missing here.
    fn number_after(&self, id: &VersionId, filter: &Filter) -> Option<u64> {
        let mut kept = self.kept.iter();
        let is_read =
            |logged: &Arc<LoggedChange>| logged.id.as_ref() == Some(id) && filter.includes(&logged.change);
        // The version's later products, and changes of its bounds, may not have been read.
        if let Some(read) = kept.position(is_read) {
            let is_of_bounds =
                |change: &Change| matches!(change, Change::Surge(change) if change.from == id.version);
            let next = read + usize::from(!is_of_bounds(&self.kept[read].change));
            return Some(self.first + next as u64);
        }
        // What other cities changed before that is unknown.
        filter.city.as_ref().filter(|city| **city == id.city)?;
        if self.newest(&id.city) == Some((id.run, id.version)) {
            return Some(self.end());
        }
        let follows = |logged: &Arc<LoggedChange>| match (&logged.id, &logged.change) {
            (Some(next), Change::Surge(change)) => {
                next.run == id.run && next.city == id.city && change.from == id.version
            }
            _ => false,
        };
        let next = self.kept.iter().position(|logged| follows(logged) && !is_read(logged))?;
        Some(self.first + next as u64)
    }
}

#[cfg(test)]
mod tests;
