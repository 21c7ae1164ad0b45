//! A shard waits for all its ancestors and for no other shard.

use std::sync::Arc;

use equilibrium_embedded::stream_log::StreamLog;
use equilibrium_event_source::mapping::EventSourceMapping;
use equilibrium_event_source::record::{Listed, Page, Position};
use equilibrium_event_source::settings::Settings;
use equilibrium_lambda::kinesis::encode::InvocationOutcome;
use equilibrium_lambda::kinesis::record::ShardId;

use crate::fixture::{Function, Outcome, poll, poller, record, run_to_the_end, stream};

fn id(index: usize) -> ShardId {
    ShardId::numbered(index)
}

fn listed(index: usize, parents: &[usize]) -> Listed {
    Listed { id: id(index), parents: parents.iter().copied().map(id).collect() }
}

fn mapping(saved: Vec<(ShardId, Position)>) -> EventSourceMapping {
    EventSourceMapping::new(Settings::default(), stream(), saved).unwrap()
}

fn readable(mapping: &mut EventSourceMapping) -> Vec<ShardId> {
    mapping.readable().map(|shard| shard.id().clone()).collect()
}

/// Reads the last page of the readable shard `index`: one record, or none.
fn read_to_the_end(mapping: &mut EventSourceMapping, index: usize, number: Option<u64>) {
    let settings = mapping.settings();
    let records = number.map(|number| record(number, 0)).into_iter().collect();
    let shard = mapping.readable().find(|shard| *shard.id() == id(index)).unwrap();
    shard.gather(0, Page { records, ended: true }, &settings);
}

fn succeed(mapping: &mut EventSourceMapping, index: usize) {
    let settings = mapping.settings();
    let shard = mapping.readable().find(|shard| *shard.id() == id(index)).unwrap();
    shard.step(0, &settings);
    shard.settle(0, &InvocationOutcome::Success, &settings);
}

#[test]
fn a_child_waits_for_both_merged_parents() {
    let mut mapping = mapping(vec![]);
    mapping.list(vec![listed(2, &[0, 1]), listed(0, &[]), listed(1, &[])]);
    assert_eq!(readable(&mut mapping), [id(0), id(1)]);
    read_to_the_end(&mut mapping, 0, None);
    assert!(mapping.open_children());
    assert_eq!(readable(&mut mapping), [id(1)]);
    read_to_the_end(&mut mapping, 1, None);
    assert!(mapping.open_children());
    assert_eq!(readable(&mut mapping), [id(2)]);
    assert!(!mapping.open_children());
}

#[test]
fn a_child_waits_until_its_parents_records_are_done_and_not_only_read() {
    let mut mapping = mapping(vec![]);
    mapping.list(vec![listed(0, &[]), listed(1, &[0])]);
    read_to_the_end(&mut mapping, 0, Some(1));
    assert!(!mapping.open_children());
    mapping.list(vec![listed(1, &[0])]);
    assert_eq!(readable(&mut mapping), [id(0)], "not listed, but its record is in progress");
    succeed(&mut mapping, 0);
    assert!(mapping.open_children());
    assert_eq!(readable(&mut mapping), [id(1)]);
}

#[test]
fn an_empty_parent_opens_its_children_at_once() {
    let (log, function) = (Arc::new(StreamLog::new(1)), Function::default());
    let [low, _] = log.split(&id(0), 100).unwrap();
    log.split(&low, 50).unwrap();
    function.put(&log, 0, vec![], 0);
    let mut poller = poller(Settings::default(), &log, &function, vec![]);
    for _ in 0..3 {
        poll(&mut poller, 0);
    }
    assert_eq!(function.batches(), [[1]]);
}

#[test]
fn a_grandchild_waits_for_its_grandparent() {
    let mut mapping = mapping(vec![(id(1), Position::End)]);
    mapping.list(vec![listed(0, &[]), listed(1, &[0]), listed(2, &[1])]);
    assert_eq!(readable(&mut mapping), [id(0)]);
}

#[test]
fn an_expired_parent_counts_as_done() {
    let mut mapping = mapping(vec![]);
    mapping.list(vec![listed(3, &[1, 2])]);
    assert_eq!(readable(&mut mapping), [id(3)]);
}

#[test]
fn a_done_parent_is_not_read_again_after_a_restart() {
    let mut mapping =
        mapping(vec![(id(0), Position::End), (id(1), Position::After(5.into())), (id(9), Position::End)]);
    mapping.list(vec![listed(0, &[]), listed(1, &[0])]);
    mapping.open_children();
    assert_eq!(readable(&mut mapping), [id(1)]);
    assert_eq!(mapping.readable().next().unwrap().read_after(), Some(&5.into()));
    assert_eq!(mapping.position(&id(0)), Some(&Position::End));
    assert_eq!(mapping.positions().count(), 3, "a saved shard that is not listed yet is still known");
}

#[test]
fn a_done_shard_is_forgotten_when_it_is_no_longer_listed() {
    let mut mapping = mapping(vec![]);
    mapping.list(vec![listed(0, &[]), listed(1, &[0])]);
    read_to_the_end(&mut mapping, 0, None);
    mapping.open_children();
    mapping.list(vec![listed(0, &[]), listed(1, &[0]), listed(1, &[0])]);
    assert_eq!(mapping.positions().count(), 2);
    mapping.list(vec![listed(1, &[0])]);
    assert_eq!((mapping.position(&id(0)), mapping.position(&id(1))), (None, Some(&Position::Oldest)));
}

#[test]
fn a_failing_parent_blocks_its_children_and_no_other_shard() {
    let (log, function) = (Arc::new(StreamLog::new(2)), Function::default());
    let failing = function.put(&log, 0, vec![], 0);
    log.split(&id(0), 100).unwrap();
    let child = function.put(&log, 0, vec![], 0);
    let other = function.put(&log, u128::MAX, vec![], 0);
    function.script([Outcome::Fail, Outcome::Success, Outcome::Success, Outcome::Success]);
    let mut poller = poller(Settings::default(), &log, &function, vec![]);
    poll(&mut poller, 0);
    poll(&mut poller, 99);
    assert_eq!(function.batches(), [[failing], [other]]);
    log.close();
    run_to_the_end(&mut poller, 100);
    assert_eq!(function.batches(), [[failing], [other], [failing], [child]]);
}
