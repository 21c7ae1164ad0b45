//! The contract of the watermark board.

use equilibrium_domain::event::watermark::{CityWatermark, ReachedTick};
use equilibrium_domain::event::watermark_board::{BOARD_PARTS, part_of};
use equilibrium_domain::id::CityId;
use futures_util::future::join_all;

use crate::ingest::ports::{Board, BoardError, Turn, Versioned, WatermarkBoard};

/// The contract of [`WatermarkBoard`].
///
/// # Panics
/// If the adapter breaks it.
pub async fn watermark_board(board: &impl WatermarkBoard) {
    let read = async || board.read().await.expect("readable");
    let empty = read().await;
    assert_eq!(empty.turn, Versioned::default());
    assert_eq!(empty.parts, vec![Versioned::default(); usize::from(BOARD_PARTS)]);

    a_part_is_saved_over_the_version_that_was_read(board).await;
    a_turn_is_taken_once(board).await;
    one_of_many_concurrent_changes_is_saved(board).await;
}

async fn a_part_is_saved_over_the_version_that_was_read(board: &impl WatermarkBoard) {
    let mut expected =
        Board { parts: vec![Versioned::default(); usize::from(BOARD_PARTS)], ..Board::default() };
    let city = |number: i64| CityId::new(&format!("contract-{number}")).expect("well-formed");
    for number in 0..40 {
        let tick = 1_772_816_405_000 + number * 5_000;
        let watermark = CityWatermark { watermark: tick + 37, first_tick: tick - 5_000 };
        let part = part_of(&city(number));
        let Versioned { version, value } = &mut expected.parts[usize::from(part)];
        value.contribute(&city(number), ReachedTick { watermark, tick });
        if number % 2 == 0 {
            value.mark_announced(&city(number), tick + 37);
        }
        assert_eq!(board.save_part(part, *version, value).await, Ok(()));
        assert_eq!(board.save_part(part, *version, value).await, Err(BoardError::Conflict), "once");
        assert_eq!(board.save_part(part, *version + 2, value).await, Err(BoardError::Conflict), "not ahead");
        *version += 1;
    }
    assert_eq!(board.read().await, Ok(expected), "every value that was saved, at once");
}

async fn a_turn_is_taken_once(board: &impl WatermarkBoard) {
    let turns = [
        Turn { taken_ms: 0, due_ms: Some(1_772_816_405_250) },
        Turn { taken_ms: 1_772_816_405_250, due_ms: None },
        Turn { taken_ms: -5, due_ms: Some(-1) },
    ];
    for (version, turn) in (0..).zip(turns) {
        assert_eq!(board.save_turn(version, turn).await, Ok(()));
        assert_eq!(board.save_turn(version, turn).await, Err(BoardError::Conflict));
        let read = board.read().await.expect("readable").turn;
        assert_eq!(read, Versioned { version: version + 1, value: turn });
    }
}

async fn one_of_many_concurrent_changes_is_saved(board: &impl WatermarkBoard) {
    let Versioned { version, value } = board.read().await.expect("readable").parts[3].clone();
    let saves = (0..6).map(|_| board.save_part(3, version, &value));
    let saved = join_all(saves).await;
    assert_eq!(saved.iter().filter(|saved| saved.is_ok()).count(), 1, "{saved:?}");
    assert_eq!(saved.iter().filter(|saved| **saved == Err(BoardError::Conflict)).count(), 5, "{saved:?}");
    assert_eq!(board.read().await.expect("readable").parts[3].version, version + 1);
}
