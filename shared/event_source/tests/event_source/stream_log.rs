//! The in-memory stream log: placement of records, splits, merges, trimming and expiry.

use equilibrium_embedded::stream_log::{LogError, StreamLog};
use equilibrium_event_source::poller::{Source, SourceError};
use equilibrium_event_source::record::{Listed, Page, Position};
use equilibrium_lambda::kinesis::record::ShardId;

use crate::fixture::poll_once;

fn read(log: &StreamLog, shard: usize, after: Option<u64>, limit: usize) -> (Vec<u64>, bool) {
    let page = poll_once(log.read(&ShardId::numbered(shard), after.map(Into::into).as_ref(), limit)).unwrap();
    let Page { records, ended } = page.unwrap();
    (records.iter().map(|record| record.sequence.as_str().parse().unwrap()).collect(), ended)
}

fn listed(log: &StreamLog) -> Vec<Listed> {
    poll_once(log.shards()).unwrap().unwrap()
}

#[test]
fn lanes_are_spread_evenly_over_the_shards() {
    for shards in [1, 2, 4, 16] {
        let log = StreamLog::new(shards);
        for lane in 0..64_u128 {
            let key = lane * (u128::MAX / 64 + 1);
            assert_eq!(log.shard_of(key), Some(ShardId::numbered(lane as usize * shards / 64)));
        }
        assert_eq!(log.shard_of(u128::MAX), Some(ShardId::numbered(shards - 1)));
    }
}

#[test]
fn sequence_numbers_grow_over_the_whole_log() {
    let log = StreamLog::new(2);
    let numbers = [0, u128::MAX, 0, u128::MAX].map(|key| log.put(key, "k", vec![], 5).unwrap());
    assert!(numbers.is_sorted_by(|a, b| a < b));
    assert_eq!(read(&log, 0, None, 9), (vec![numbers[0], numbers[2]], false));
    assert_eq!(read(&log, 1, Some(numbers[1]), 9), (vec![numbers[3]], false));
    assert_eq!(read(&log, 0, None, 1), (vec![numbers[0]], false));
}

#[test]
fn a_split_closes_the_parent_and_divides_its_range() {
    let log = StreamLog::new(1);
    let old = log.put(10, "k", vec![], 0).unwrap();
    let [low, high] = log.split(&ShardId::numbered(0), 100).unwrap();
    assert_eq!(log.shard_of(99), Some(low.clone()));
    assert_eq!(log.shard_of(100), Some(high.clone()));
    assert_eq!(read(&log, 0, None, 9), (vec![old], true));
    let parents: Vec<_> = listed(&log).into_iter().map(|listed| listed.parents).collect();
    assert_eq!(parents, [vec![], vec![ShardId::numbered(0)], vec![ShardId::numbered(0)]]);
    assert_eq!(log.split(&ShardId::numbered(0), 50), Err(LogError::Closed));
    assert_eq!(log.split(&low, 0), Err(LogError::OutsideRange));
    assert_eq!(log.split(&low, 100), Err(LogError::OutsideRange));
    assert_eq!(log.split(&high, 100), Err(LogError::OutsideRange));
}

#[test]
fn a_merge_gives_both_ranges_to_one_child() {
    let log = StreamLog::new(4);
    let [a, b, c] = [0, 1, 2].map(ShardId::numbered);
    assert_eq!(log.merge(&a, &c), Err(LogError::NotAdjacent));
    assert_eq!(log.merge(&a, &a), Err(LogError::NotAdjacent));
    let child = log.merge(&b, &a).unwrap();
    assert_eq!(log.open_shards(), [child.clone(), c.clone(), ShardId::numbered(3)]);
    assert_eq!(log.shard_of(0), Some(child.clone()));
    assert_eq!(listed(&log).last().unwrap().parents, [b.clone(), a.clone()]);
    assert_eq!(log.merge(&a, &child), Err(LogError::Closed));
}

#[test]
fn only_records_up_to_the_position_are_trimmed() {
    let log = StreamLog::new(1);
    let shard = ShardId::numbered(0);
    let numbers = [(); 4].map(|()| log.put(0, "k", vec![], 0).unwrap());
    log.trim(&shard, &Position::Oldest);
    assert_eq!(log.len(), 4);
    log.trim(&shard, &Position::After(numbers[1].into()));
    assert_eq!(read(&log, 0, None, 9).0, numbers[2..]);
    assert_eq!(read(&log, 0, Some(numbers[0]), 9).0, numbers[2..]);
    log.trim(&shard, &Position::End);
    assert!(log.is_empty());
}

#[test]
fn only_closed_shards_expire() {
    let log = StreamLog::new(1);
    let shard = ShardId::numbered(0);
    assert_eq!(log.expire(&shard), Err(LogError::Open));
    log.close();
    assert_eq!(log.put(0, "k", vec![], 0), Err(LogError::Closed));
    assert_eq!(read(&log, 0, None, 9), (vec![], true));
    log.expire(&shard).unwrap();
    assert_eq!(listed(&log), []);
    assert_eq!(poll_once(log.read(&shard, None, 9)).unwrap(), Err(SourceError::Gone));
}

#[test]
fn bytes_counts_the_retained_records() {
    let log = StreamLog::new(2);
    let numbers = [0, u128::MAX, 0].map(|key| log.put(key, "key", vec![7; 100], 5).unwrap());
    assert_eq!(log.bytes(), 300);
    log.trim(&ShardId::numbered(0), &Position::After(numbers[0].into()));
    assert_eq!(log.bytes(), 200);
    log.trim(&ShardId::numbered(0), &Position::Oldest);
    log.trim(&ShardId::numbered(1), &Position::End);
    assert_eq!(log.bytes(), 100);
    log.close();
    log.expire(&ShardId::numbered(0)).unwrap();
    assert_eq!(log.bytes(), 0);
}
