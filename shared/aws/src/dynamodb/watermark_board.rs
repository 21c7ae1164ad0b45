//! The watermark board: an item for each part and one for the turn, each replaced over the version that was read.

use aws_sdk_dynamodb::error::SdkError;
use equilibrium_app::ingest::ports::{self, Board, BoardError, Turn, Versioned};
use equilibrium_app::unavailable::Unavailable;
use equilibrium_domain::event::watermark_board::{BOARD_PARTS, BoardPart};
use tracing::error_span;

use super::item::{Item, bytes, number, read_number, read_text, signed, text};
use super::table::Table;
use super::{Connection, Tables};
use crate::retry::{log_unavailable, with_deadline};

const BOARD: &str = "board";
const PART: &str = "part";
const VERSION: &str = "version";
const CITIES: &str = "cities";
const TAKEN: &str = "taken_ms";
const DUE: &str = "due_ms";
const TURN: &str = "turn";

/// The partition key of all items. One partition takes 1,000 changes a second, far more than cities reach ticks.
const EVENTS: &str = "events";

/// The board in a table.
#[derive(Debug)]
pub struct WatermarkBoard {
    table: Table,
}

impl WatermarkBoard {
    /// The board in these tables.
    #[must_use]
    pub fn new(connection: &Connection, tables: &Tables) -> Self {
        Self { table: Table::new(connection, &tables.watermarks) }
    }

    async fn query(&self) -> Result<Board, Unavailable> {
        let mut board = Board::default();
        board.parts.resize_with(BOARD_PARTS.into(), Versioned::default);
        let mut from = None;
        loop {
            let request = self
                .table
                .query()
                .key_condition_expression("#board = :events")
                .expression_attribute_names("#board", BOARD)
                .expression_attribute_values(":events", text(EVENTS))
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(|error| log_unavailable("Query", &error))?;
            for item in page.items() {
                read_item(item, &mut board);
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(board);
            }
        }
    }

    /// Puts an item over version `after` of it.
    async fn replace(&self, part: &str, after: u64, mut item: Item) -> Result<(), BoardError> {
        item.insert(BOARD.into(), text(EVENTS));
        item.insert(PART.into(), text(part));
        item.insert(VERSION.into(), number(after + 1));
        let request = self.table.put_item(item);
        let request = if after == 0 {
            request
                .condition_expression("attribute_not_exists(#board)")
                .expression_attribute_names("#board", BOARD)
        } else {
            request
                .condition_expression("#version = :after")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(":after", number(after))
        };
        let put = async {
            match request.send().await {
                Ok(_) => Ok(true),
                Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                    Ok(false)
                }
                Err(error) => Err(log_unavailable("PutItem", &error)),
            }
        };
        let span = error_span!("watermark_board", part);
        let is_saved = with_deadline(self.table.retry_policy().deadline(), span, put).await?;
        if is_saved { Ok(()) } else { Err(BoardError::Conflict) }
    }
}

impl ports::WatermarkBoard for WatermarkBoard {
    async fn read(&self) -> Result<Board, Unavailable> {
        let span = error_span!("watermark_board");
        with_deadline(self.table.retry_policy().deadline(), span, self.query()).await
    }

    async fn save_part(&self, number: u16, after: u64, part: &BoardPart) -> Result<(), BoardError> {
        let item = Item::from([(CITIES.into(), bytes(&part.encode()))]);
        self.replace(&number.to_string(), after, item).await
    }

    async fn save_turn(&self, after: u64, turn: Turn) -> Result<(), BoardError> {
        let mut item = Item::from([(TAKEN.into(), signed(turn.taken_ms))]);
        item.extend(turn.due_ms.map(|due_ms| (DUE.into(), signed(due_ms))));
        self.replace(TURN, after, item).await
    }
}

/// Reads an item into its place. The content of one that cannot be read counts as empty: events bring it again, over the
/// version that is there.
fn read_item(item: &Item, board: &mut Board) {
    let (Some(part), Some(version)) = (read_text(item, PART), read_number(item, VERSION)) else { return };
    if part == TURN {
        let value =
            read_signed(item, TAKEN).map(|taken_ms| Turn { taken_ms, due_ms: read_signed(item, DUE) });
        board.turn = Versioned { version, value: value.unwrap_or_default() };
        return;
    }
    let Some(place) = part.parse().ok().and_then(|number: usize| board.parts.get_mut(number)) else { return };
    let cities = item.get(CITIES).and_then(|cities| cities.as_b().ok());
    let value = cities.map(|cities| BoardPart::decode(cities.as_ref()));
    if let Some(Err(corrupt)) = &value {
        tracing::error!(part, %corrupt, "part of the watermark board unreadable");
    }
    *place = Versioned { version, value: value.and_then(Result::ok).unwrap_or_default() };
}

fn read_signed(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}
