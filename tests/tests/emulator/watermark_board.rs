//! The watermark board in DynamoDB.

use equilibrium_app::contract;
use equilibrium_app::ingest::ports::{Turn, WatermarkBoard as _};
use equilibrium_aws::dynamodb::{Connection, Tables, WatermarkBoard};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};

#[tokio::test]
async fn the_board_meets_its_contract_and_is_shared() {
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&unique_name("watermarks"));
    tables.create(&connection).await.unwrap();
    let board = WatermarkBoard::new(&connection, &tables);
    contract::watermark_board(&board).await;
    let other = WatermarkBoard::new(&connection, &tables);
    assert_eq!(other.read().await, board.read().await);
    let turn = board.read().await.unwrap().turn;
    other.save_turn(turn.version, Turn { taken_ms: 7, due_ms: None }).await.unwrap();
    assert_eq!(board.read().await.unwrap().turn.value.taken_ms, 7);
}
