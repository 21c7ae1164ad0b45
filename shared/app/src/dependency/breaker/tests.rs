//! The breaker by its rules, and by a model of its states.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const START_MS: i64 = 1_772_816_400_000;

fn failed(breaker: &mut Breaker, now_ms: i64) {
    let admission = breaker.admit(now_ms).expect("the breaker lets the call through");
    breaker.end(admission, Outcome::Failed, now_ms, 0.5);
}

fn opened(settings: BreakerSettings) -> Breaker {
    let mut breaker = Breaker::new(settings);
    for _ in 0..settings.failures {
        failed(&mut breaker, START_MS);
    }
    assert_eq!(breaker.state(), BreakerState::Open);
    breaker
}

#[test]
fn the_failures_of_the_contract_open_it_and_one_fewer_or_a_slower_row_does_not() {
    for (settings, failures, window_ms) in
        [(BreakerSettings::CACHE, 3, 30_000), (BreakerSettings::STORE, 5, 60_000)]
    {
        assert_eq!((settings.failures, settings.window_ms), (failures, window_ms));
        opened(settings);
        let mut fewer = Breaker::new(settings);
        (1..failures).for_each(|_| failed(&mut fewer, START_MS));
        assert_eq!(fewer.state(), BreakerState::Closed);
        failed(&mut fewer, START_MS + window_ms);
        assert_eq!(fewer.state(), BreakerState::Closed, "the others have left the window");
        let mut last_moment = Breaker::new(settings);
        (1..failures).for_each(|_| failed(&mut last_moment, START_MS));
        failed(&mut last_moment, START_MS + window_ms - 1);
        assert_eq!(last_moment.state(), BreakerState::Open);
    }
}

#[test]
fn a_success_between_failures_does_not_take_them_back() {
    let mut breaker = Breaker::new(BreakerSettings::CACHE);
    for at_ms in [0, 1_000, 2_000] {
        failed(&mut breaker, START_MS + at_ms);
        if let Some(admission) = breaker.admit(START_MS + at_ms) {
            breaker.end(admission, Outcome::Answered, START_MS + at_ms, 0.0);
        }
    }
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[test]
fn one_call_probes_and_its_outcome_decides() {
    let mut breaker = opened(BreakerSettings::STORE);
    assert_eq!(breaker.admit(START_MS + 499), None);
    let probe = breaker.admit(START_MS + 1_000).unwrap();
    assert!(probe.is_probe);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert_eq!(breaker.admit(START_MS + 1_000_000), None, "one at a time");
    breaker.end(probe, Outcome::Answered, START_MS + 1_100, 0.0);
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!(!breaker.admit(START_MS + 1_100).unwrap().is_probe);
}

#[test]
fn the_pause_doubles_with_each_failed_probe_up_to_a_limit() {
    let mut breaker = opened(BreakerSettings::CACHE);
    let mut now_ms = START_MS;
    for pause_ms in [750, 1_500, 3_000, 6_000, 6_000, 6_000] {
        assert_eq!(breaker.admit(now_ms + pause_ms - 1), None, "{pause_ms}");
        now_ms += pause_ms;
        failed(&mut breaker, now_ms);
    }
}

#[test]
fn an_abandoned_probe_leaves_the_next_call_to_probe() {
    let mut breaker = opened(BreakerSettings::CACHE);
    let probe = breaker.admit(START_MS + 1_000).unwrap();
    breaker.end(probe, Outcome::Abandoned, START_MS + 1_001, 0.0);
    assert!(breaker.admit(START_MS + 1_001).unwrap().is_probe);
}

#[test]
fn a_call_of_an_earlier_state_decides_nothing() {
    let mut breaker = Breaker::new(BreakerSettings::CACHE);
    let slow = [(); 4].map(|()| breaker.admit(START_MS).unwrap());
    (0..3).for_each(|_| failed(&mut breaker, START_MS));
    breaker.end(slow[0], Outcome::Answered, START_MS + 10, 0.0);
    assert_eq!(breaker.state(), BreakerState::Open, "its answer was on the way before");
    let probe = breaker.admit(START_MS + 1_000).unwrap();
    breaker.end(slow[1], Outcome::Failed, START_MS + 1_001, 0.0);
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    breaker.end(probe, Outcome::Answered, START_MS + 1_002, 0.0);
    slow[2..].iter().for_each(|slow| breaker.end(*slow, Outcome::Failed, START_MS + 1_003, 0.0));
    (0..2).for_each(|_| failed(&mut breaker, START_MS + 1_004));
    assert_eq!(breaker.state(), BreakerState::Closed, "two failures since it was closed");
}

#[test]
fn a_clock_that_is_set_back_does_not_keep_it_open() {
    let mut breaker = opened(BreakerSettings::STORE);
    assert!(breaker.admit(START_MS - 3_600_000).unwrap().is_probe);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(i64),
    Begin,
    /// Of the calls in flight, one by its index.
    End(usize, Outcome, f64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let outcome =
        prop_oneof![3 => Just(Outcome::Failed), 2 => Just(Outcome::Answered), 1 => Just(Outcome::Abandoned)];
    vec(
        prop_oneof![
            2 => prop_oneof![0_i64..100, 0_i64..5_000, 0_i64..70_000, -1_000_i64..0].prop_map(Step::Pass),
            3 => Just(Step::Begin),
            3 => (any::<prop::sample::Index>(), outcome, 0.0..1.0)
                .prop_map(|(at, outcome, random)| Step::End(at.index(64), outcome, random)),
        ],
        1..400,
    )
}

/// What a breaker is to do, from the whole past of one period of its state.
#[derive(Debug)]
enum Model {
    Closed { failures: Vec<i64> },
    Open { at_ms: i64, least_ms: i64, most_ms: i64 },
    HalfOpen,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn it_follows_the_model_of_its_states(steps in steps(), is_cache in any::<bool>()) {
        let settings = if is_cache { BreakerSettings::CACHE } else { BreakerSettings::STORE };
        let mut breaker = Breaker::new(settings);
        let mut model = Model::Closed { failures: Vec::new() };
        let (mut now_ms, mut period, mut failed_probes) = (START_MS, 0, 0_u32);
        let mut in_flight: Vec<(Admission, u32)> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(ms) => now_ms += ms,
                Step::Begin => {
                    let admission = breaker.admit(now_ms);
                    match model {
                        Model::Closed { .. } => prop_assert!(admission.is_some_and(|call| !call.is_probe)),
                        Model::HalfOpen => prop_assert!(admission.is_none()),
                        Model::Open { at_ms, least_ms, most_ms } => {
                            let waited_ms = now_ms - at_ms;
                            let is_early = (0..least_ms).contains(&waited_ms);
                            let is_due = waited_ms < 0 || waited_ms >= most_ms;
                            prop_assert!(!is_early || admission.is_none());
                            prop_assert!(!is_due || admission.is_some());
                            if let Some(probe) = admission {
                                prop_assert!(probe.is_probe);
                                (model, period) = (Model::HalfOpen, period + 1);
                            }
                        }
                    }
                    in_flight.extend(admission.map(|admission| (admission, period)));
                }
                Step::End(at, outcome, random) if !in_flight.is_empty() => {
                    let (admission, began) = in_flight.swap_remove(at % in_flight.len());
                    breaker.end(admission, outcome, now_ms, random);
                    if began != period {
                        continue;
                    }
                    let opens = match (&mut model, outcome) {
                        (Model::Closed { failures }, Outcome::Failed) => {
                            failures.push(now_ms);
                            // What a clock that was set back has put into the future is forgotten.
                            failures.retain(|at_ms| (0..settings.window_ms).contains(&(now_ms - at_ms)));
                            failures.len() >= settings.failures
                        }
                        (Model::HalfOpen, Outcome::Failed) => true,
                        (Model::HalfOpen, Outcome::Answered) => {
                            (model, period, failed_probes) =
                                (Model::Closed { failures: Vec::new() }, period + 1, 0);
                            false
                        }
                        (Model::HalfOpen, Outcome::Abandoned) => {
                            (model, period) = (Model::Open { at_ms: now_ms, least_ms: 0, most_ms: 0 }, period + 1);
                            false
                        }
                        _ => false,
                    };
                    if opens {
                        let most_ms = (settings.open_ms << failed_probes.min(20)).min(settings.max_open_ms);
                        (model, period) = (Model::Open { at_ms: now_ms, least_ms: most_ms / 2, most_ms }, period + 1);
                        failed_probes += 1;
                    }
                }
                Step::End(..) => {}
            }
            let expected = match model {
                Model::Closed { .. } => BreakerState::Closed,
                Model::Open { .. } => BreakerState::Open,
                Model::HalfOpen => BreakerState::HalfOpen,
            };
            prop_assert_eq!(breaker.state(), expected);
        }
    }
}
