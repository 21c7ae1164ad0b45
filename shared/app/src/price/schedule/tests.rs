//! When a reader looks for the next map.

use super::*;

const PACE: Pace = Pace::SHARED_STORE;
const TICK_MS: i64 = 5_000;

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = xxhash_rust::xxh3::xxh3_64(&self.0.to_le_bytes());
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / 4_294_967_296.0
    }
}

/// The looks of one reader over a number of ticks whose maps arrive after `lag_ms`.
struct Looks {
    per_second: f64,
    /// The mean time from a map's arrival to the look that found it, in milliseconds.
    delay_ms: f64,
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn simulate(ticks: i64, random: &mut Random, mut lag_ms: impl FnMut(&mut Random) -> i64) -> Looks {
    let (mut schedule, mut looks, mut delay_ms) = (Schedule::default(), 0, 0);
    schedule.found(0, 0, TICK_MS, random.next());
    let warm_up = 20;
    for tick in 1..=ticks + warm_up {
        let due_ms = tick * TICK_MS;
        let arrives_ms = due_ms + lag_ms(random);
        loop {
            let now_ms = schedule.next_at_ms;
            looks += i64::from(tick > warm_up);
            if now_ms >= arrives_ms {
                schedule.found(now_ms, due_ms, TICK_MS, random.next());
                delay_ms += if tick > warm_up { now_ms - arrives_ms } else { 0 };
                break;
            }
            schedule.missed(now_ms, &PACE, random.next());
        }
    }
    Looks {
        per_second: looks as f64 / (ticks * TICK_MS) as f64 * 1_000.0,
        delay_ms: delay_ms as f64 / ticks as f64,
    }
}

/// The lag of docs/performance.md: two polls of a second each, and what counting and pricing take.
fn polled(random: &mut Random) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "less than 4,000")]
    let lag_ms = (random.next().max(random.next()) * 1_000.0 + random.next() * 1_000.0 + 130.0) as i64;
    lag_ms
}

#[test]
fn two_hundred_readers_without_a_cache_read_a_head_less_than_two_hundred_times_a_second() {
    let mut random = Random(7);
    let readers = (0..200).map(|_| simulate(720, &mut random, polled)).collect::<Vec<_>>();
    let per_second: f64 = readers.iter().map(|looks| looks.per_second).sum();
    let delay_ms = readers.iter().map(|looks| looks.delay_ms).sum::<f64>() / 200.0;
    println!(
        "{per_second:.0} reads of one head a second by 200 readers; found {delay_ms:.0} ms after its arrival"
    );
    assert!(per_second <= 200.0, "{per_second}");
    assert!(delay_ms <= 300.0, "{delay_ms}");
}

#[test]
fn the_usual_lag_is_learned_and_a_map_is_found_in_two_looks_or_three() {
    let mut random = Random(7);
    for lag_ms in [0, 30, 400, 1_800, 4_000, 12_000] {
        let looks = simulate(100, &mut random, |_| lag_ms);
        assert!(looks.per_second <= 0.6, "{lag_ms}: {}", looks.per_second);
        assert!(looks.delay_ms <= 200.0, "{lag_ms}: {}", looks.delay_ms);
    }
}

#[test]
fn while_no_map_arrives_the_pauses_grow_to_a_second() {
    let mut schedule = Schedule::default();
    assert!(schedule.is_due(0));
    for (random, pause_ms) in
        [(0.0, 100), (0.5, 175), (0.99, 248), (0.0, 100), (0.5, 350), (0.0, 400), (0.0, 800), (0.9, 1_000)]
    {
        let began_ms = schedule.next_at_ms;
        schedule.missed(began_ms, &PACE, random);
        assert_eq!(schedule.wait_ms(began_ms), pause_ms);
        assert!(!schedule.is_due(began_ms + pause_ms - 1) && schedule.is_due(began_ms + pause_ms));
    }
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_the_looks() {
    let mut schedule = Schedule::default();
    schedule.found(1_000_000, 1_000_000, TICK_MS, 0.0);
    assert!(!schedule.is_due(1_000_001) && schedule.is_due(999_999));
    let mut budget = ReadBudget::default();
    budget.owe(3, 1_000_000, &PACE);
    assert_eq!(budget.allowed(1_000_000, &PACE), 0);
    assert_eq!(budget.allowed(0, &PACE), 3);
}

#[test]
fn a_late_request_teaches_nothing_about_the_lag() {
    let mut schedule = Schedule::default();
    schedule.found(0, 0, TICK_MS, 0.0);
    schedule.lag_ms = 1_000;
    // A request comes four seconds after the map was usually there.
    schedule.found(10_000, 5_000, TICK_MS, 0.0);
    assert!((900..=1_000).contains(&schedule.lag_ms), "{}", schedule.lag_ms);
    // The pipeline was stopped, and the look before was long ago.
    schedule.missed(15_000, &PACE, 0.0);
    schedule.found(95_000, 90_000, TICK_MS, 0.0);
    assert!((900..=1_000).contains(&schedule.lag_ms), "{}", schedule.lag_ms);
}

#[test]
fn no_second_has_more_than_five_reads_whatever_is_asked() {
    for look_takes_ms in [0, 400, 999] {
        let mut budget = ReadBudget::default();
        let mut read_at_ms: Vec<i64> = Vec::new();
        let mut now_ms = 0;
        while now_ms < 60_000 {
            // Heads at the beginning of a look; chunks at its end.
            for at_ms in [now_ms, now_ms + look_takes_ms, now_ms + look_takes_ms] {
                if budget.allowed(now_ms, &PACE) > 0 {
                    budget.owe(1, now_ms, &PACE);
                    read_at_ms.push(at_ms);
                }
            }
            now_ms += look_takes_ms.max(1);
        }
        let most = read_at_ms
            .iter()
            .map(|from| read_at_ms.iter().filter(|at| (*from..from + 1_000).contains(*at)).count());
        assert!(most.max().unwrap() <= 5, "{look_takes_ms}");
        assert!(read_at_ms.len() > 90, "{}", read_at_ms.len());
    }
}

#[test]
fn reads_that_are_owed_are_waited_for() {
    let mut budget = ReadBudget::default();
    assert_eq!((budget.allowed(0, &PACE), budget.wait_ms(1, 0, &PACE)), (3, 0));
    budget.owe(5, 0, &PACE);
    assert_eq!((budget.allowed(0, &PACE), budget.wait_ms(1, 0, &PACE)), (-2, 1_800));
    assert_eq!((budget.allowed(1_799, &PACE), budget.allowed(1_800, &PACE)), (0, 1));
}
