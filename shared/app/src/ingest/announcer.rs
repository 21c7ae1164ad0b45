//! One producer's part in announcing watermarks: it contributes the ticks that its events have reached to the board that
//! all producers share, and when its turn comes it puts one record with all pending cities into every lane.
//!
//! A tick is announced at least once, after its events: a city stays pending on the board until every lane has its record,
//! and a producer that ends before, or whose put fails, is followed by another one. A record may be repeated and may
//! come later than others; the greatest watermark counts.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use equilibrium_domain::event::watermark::{self, CityWatermark, ReachedTick};
use equilibrium_domain::event::watermark_board::{BoardPart, is_complete, part_of};
use equilibrium_domain::id::{CityId, LaneCount};
use futures_util::future::join_all;
use hashbrown::HashMap;
use parking_lot::Mutex;

use crate::ingest::pace::{Pace, Step};
use crate::ingest::ports::{Board, BoardError, EventLog, Timer, Turn, Versioned, WatermarkBoard};
use crate::unavailable::Unavailable;

/// How often a producer reads the board while another one is to announce, in milliseconds.
const LOOK_EVERY_MS: i64 = 250;

/// How long a producer leaves a board alone that was unavailable, in milliseconds: a slow board must not slow down every
/// request.
const BOARD_REST_MS: i64 = 5_000;

/// Attempts at a change of the board, each after another producer's.
const MAX_CHANGES: u32 = 8;

/// Turns that one request waits for. The second follows a put that failed.
const MAX_TURNS: u32 = 2;

/// Without a board, a producer's watermark records are this fraction of its records of events at most.
const ALONE_SHARE: u64 = 20;

/// Announces the watermarks of one producer's events.
#[derive(Debug)]
pub(super) struct Announcer<B, T> {
    board: B,
    timer: T,
    pace: Pace,
    lanes: LaneCount,
    state: Mutex<State>,
}

/// What the producer knows.
#[derive(Debug, Default)]
struct State {
    /// The cities that have reached a tick which, as far as is known, was not announced.
    due: BTreeMap<CityId, ReachedTick>,
    /// The greatest watermark known to be announced.
    announced: HashMap<CityId, i64>,
    /// Whether the board may lack something of `due`.
    has_news: bool,
    /// The turn that this producer has undertaken.
    held: Option<Held>,
    /// Without news, the board is read again at this time.
    look_at_ms: i64,
    /// The board is left alone until this time.
    rest_until_ms: i64,
    /// Whether a round is under way, and another one was asked for meanwhile.
    is_running: bool,
    is_wanted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    version: u64,
    due_ms: i64,
}

/// The only caller that goes through rounds; when it is dropped another one may begin.
struct Running<'a>(Option<&'a Mutex<State>>);

impl Running<'_> {
    /// Whether another round is wanted; otherwise a later caller begins it.
    fn goes_on(&mut self) -> bool {
        let Some(state) = self.0 else { return false };
        let mut state = state.lock();
        let is_wanted = std::mem::take(&mut state.is_wanted);
        if !is_wanted {
            state.is_running = false;
            self.0 = None;
        }
        is_wanted
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.0 {
            state.lock().is_running = false;
        }
    }
}

impl State {
    /// Adds what events have reached that are in the log.
    fn observe(&mut self, city: &CityId, reached: ReachedTick) {
        if self.announced.get(city).is_some_and(|announced| *announced >= reached.tick) {
            return;
        }
        let Some(due) = self.due.get_mut(city) else {
            self.due.insert(city.clone(), reached);
            self.has_news = true;
            return;
        };
        let CityWatermark { watermark, first_tick } = reached.watermark;
        self.has_news |= due.tick < reached.tick || first_tick < due.watermark.first_tick;
        due.tick = due.tick.max(reached.tick);
        due.watermark.watermark = due.watermark.watermark.max(watermark);
        due.watermark.first_tick = due.watermark.first_tick.min(first_tick);
    }

    /// Learns which watermarks are announced.
    fn learn<'a>(&mut self, announced: impl Iterator<Item = (&'a CityId, i64)>) {
        for (city, watermark) in announced {
            match self.announced.get_mut(city) {
                Some(known) => *known = watermark.max(*known),
                None => drop(self.announced.insert(city.clone(), watermark)),
            }
        }
        let Self { due, announced, .. } = self;
        due.retain(|city, reached| announced.get(city).is_none_or(|at| *at < reached.tick));
    }

    /// The parts of the board that lack something of this producer, with it.
    fn contributions(&self, board: &Board) -> Vec<(u16, Versioned<BoardPart>)> {
        let mut parts: BTreeMap<u16, Versioned<BoardPart>> = BTreeMap::new();
        for (city, reached) in &self.due {
            let number = part_of(city);
            let part = &board.parts[usize::from(number)];
            if part.value.lacks(city, *reached) {
                parts.entry(number).or_insert_with(|| part.clone()).value.contribute(city, *reached);
            }
        }
        parts.into_iter().collect()
    }
}

impl<B: WatermarkBoard, T: Timer> Announcer<B, T> {
    pub(super) fn new(board: B, timer: T, pace: Pace, lanes: LaneCount) -> Self {
        Self { board, timer, pace, lanes, state: Mutex::default() }
    }

    /// Adds what events have reached that are in the log.
    pub(super) fn observe<'a>(&self, reached: impl Iterator<Item = (&'a CityId, ReachedTick)>) {
        let mut state = self.state.lock();
        for (city, reached) in reached {
            state.observe(city, reached);
        }
    }

    /// Contributes and announces what can be without waiting. `records` of events were put since the last call.
    pub(super) async fn advance(&self, log: &impl EventLog, records: u64) {
        let is_first = {
            let mut state = self.state.lock();
            state.is_wanted = true;
            !std::mem::replace(&mut state.is_running, true)
        };
        if !is_first {
            return;
        }
        let mut running = Running(Some(&self.state));
        while running.goes_on() {
            if self.must_look(false) && self.round(log, false).await.is_err() {
                self.rest();
            }
            if self.is_at_rest() {
                self.announce_alone(log, records).await;
            }
        }
    }

    /// When this producer's turn comes, if it has undertaken to announce.
    pub(super) fn turn_ms(&self) -> Option<i64> {
        self.state.lock().held.map(|held| held.due_ms)
    }

    /// Waits for this producer's turn, if it has undertaken one, and announces.
    pub(super) async fn settle(&self, log: &impl EventLog) {
        for _ in 0..MAX_TURNS {
            let Some(at_ms) = self.turn_ms() else { return };
            self.timer.wait_until(at_ms).await;
            self.advance(log, 0).await;
        }
    }

    /// Announces everything that is due, whatever the pace.
    pub(super) async fn flush(&self, log: &impl EventLog) {
        if self.must_look(true) && self.round(log, true).await.is_err() {
            self.rest();
        }
    }

    fn must_look(&self, is_urgent: bool) -> bool {
        let now_ms = self.timer.now_ms();
        let state = self.state.lock();
        let is_turn = state.held.is_some_and(|held| held.due_ms <= now_ms);
        let has_due = !state.due.is_empty();
        let is_time = is_urgent || state.has_news || state.look_at_ms <= now_ms;
        state.rest_until_ms <= now_ms && (is_turn || has_due && is_time)
    }

    /// Reads the board, contributes, and takes the turn if it is this producer's.
    async fn round(&self, log: &impl EventLog, is_urgent: bool) -> Result<(), Unavailable> {
        self.state.lock().look_at_ms = self.timer.now_ms() + LOOK_EVERY_MS;
        for _ in 0..MAX_CHANGES {
            self.state.lock().has_news = false;
            let board = self.board.read().await?;
            let (parts, held) = self.compare(&board);
            if !parts.is_empty() {
                self.save(parts).await?;
                continue;
            }
            if held.is_none() && self.state.lock().due.is_empty() {
                return Ok(());
            }
            let now_ms = self.timer.now_ms();
            // The city of probes has no frequent events: nothing waits for it.
            let cities = board.parts.iter().flat_map(|part| part.value.cities());
            let cities = cities.filter(|(id, _)| !id.is_probe()).map(|(_, city)| city);
            let step = match self.pace.step(&board.turn, held, is_complete(cities), now_ms) {
                Step::Undertake(_) | Step::Leave if is_urgent => Step::Take,
                step => step,
            };
            match step {
                Step::Leave => return Ok(()),
                Step::Undertake(due_ms) => {
                    let turn = Turn { due_ms: Some(due_ms), ..board.turn.value };
                    if changed(self.board.save_turn(board.turn.version, turn).await)? {
                        let version = board.turn.version + 1;
                        self.state.lock().held = Some(Held { version, due_ms });
                        return Ok(());
                    }
                }
                Step::Take => {
                    let turn = Turn { taken_ms: now_ms, due_ms: None };
                    if changed(self.board.save_turn(board.turn.version, turn).await)? {
                        self.state.lock().held = None;
                        if self.take_turn(log, board).await? {
                            return Ok(());
                        }
                    }
                }
            }
        }
        // Every attempt met another producer's change. The next request tries again.
        self.state.lock().has_news = true;
        Ok(())
    }

    /// Learns what the board has announced; the parts that lack something, and the version of the turn if it is held.
    fn compare(&self, board: &Board) -> (Vec<(u16, Versioned<BoardPart>)>, Option<u64>) {
        let mut state = self.state.lock();
        let cities = board.parts.iter().flat_map(|part| part.value.cities());
        state.learn(cities.filter_map(|(city, known)| Some((city, known.announced?))));
        if state.held.is_some_and(|held| held.version != board.turn.version) {
            state.held = None;
        }
        (state.contributions(board), state.held.map(|held| held.version))
    }

    /// Saves parts; those that another producer has changed are read and compared again.
    async fn save(&self, parts: Vec<(u16, Versioned<BoardPart>)>) -> Result<(), Unavailable> {
        let saves = parts
            .iter()
            .map(|(number, Versioned { version, value })| self.board.save_part(*number, *version, value));
        for saved in join_all(saves).await {
            changed(saved)?;
        }
        Ok(())
    }

    /// Announces what is pending, and marks it; `false` if a put failed, so that the turn must be taken again.
    async fn take_turn(&self, log: &impl EventLog, board: Board) -> Result<bool, Unavailable> {
        // Where the turn had been undertaken, others rely on it for what they contributed until it was taken.
        let board = if board.turn.value.due_ms.is_some() { self.board.read().await? } else { board };
        let cities = board.parts.iter().flat_map(|part| part.value.cities());
        let pending: BTreeMap<CityId, CityWatermark> = cities
            .filter(|(_, city)| city.is_pending())
            .map(|(name, city)| (name.clone(), city.newest))
            .collect();
        if self.announce(log, &pending).await.is_err() {
            return Ok(false);
        }
        self.state.lock().learn(pending.iter().map(|(city, newest)| (city, newest.watermark)));
        self.mark(board, &pending).await?;
        Ok(true)
    }

    /// Marks what every lane has. What stays unmarked is announced again.
    async fn mark(&self, board: Board, pending: &BTreeMap<CityId, CityWatermark>) -> Result<(), Unavailable> {
        let mut board = board;
        for _ in 0..MAX_CHANGES {
            let mut parts = Vec::new();
            for (number, mut part) in (0..).zip(board.parts) {
                let mut is_new = false;
                for (city, newest) in pending.iter().filter(|(city, _)| part_of(city) == number) {
                    is_new |= part.value.mark_announced(city, newest.watermark);
                }
                if is_new {
                    parts.push((number, part));
                }
            }
            if parts.is_empty() {
                return Ok(());
            }
            self.save(parts).await?;
            board = self.board.read().await?;
        }
        Ok(())
    }

    /// Puts one record with these cities into every lane.
    async fn announce(
        &self,
        log: &impl EventLog,
        cities: &BTreeMap<CityId, CityWatermark>,
    ) -> Result<(), Unavailable> {
        let cities: Vec<(&CityId, CityWatermark)> = cities.iter().map(|(city, at)| (city, *at)).collect();
        for cities in cities.chunks(watermark::MAX_CITIES) {
            let puts = self
                .lanes
                .iter()
                .map(|lane| log.put(lane, watermark::write(lane, self.lanes, cities.iter().copied())));
            join_all(puts).await.into_iter().collect::<Result<(), _>>()?;
        }
        Ok(())
    }

    /// Leaves the board alone for a while.
    fn rest(&self) {
        let mut state = self.state.lock();
        state.held = None;
        state.has_news = true;
        state.rest_until_ms = self.timer.now_ms() + BOARD_REST_MS;
    }

    fn is_at_rest(&self) -> bool {
        self.timer.now_ms() < self.state.lock().rest_until_ms
    }

    /// Announces what is due by this producer's events alone, now and then: at random, so that over all producers the
    /// records of watermarks are a fixed share of those of events, however many producers there are. A board that is
    /// unavailable thus neither stops ticks nor fills the stream.
    async fn announce_alone(&self, log: &impl EventLog, records: u64) {
        let due: BTreeMap<CityId, CityWatermark> = {
            let state = self.state.lock();
            state.due.iter().map(|(city, reached)| (city.clone(), reached.watermark)).collect()
        };
        let chance = records.saturating_mul(u64::MAX / (ALONE_SHARE * u64::from(self.lanes.get())));
        if due.is_empty() || RandomState::new().hash_one(records) > chance {
            return;
        }
        if self.announce(log, &due).await.is_ok() {
            self.state.lock().learn(due.iter().map(|(city, newest)| (city, newest.watermark)));
        }
    }
}

/// Whether a change was saved; not if another producer's came first.
fn changed(saved: Result<(), BoardError>) -> Result<bool, Unavailable> {
    match saved {
        Ok(()) => Ok(true),
        Err(BoardError::Conflict) => Ok(false),
        Err(BoardError::Unavailable(unavailable)) => Err(unavailable),
    }
}
