//! The figures of days in DynamoDB.

use equilibrium_app::contract;
use equilibrium_aws::dynamodb::{Connection, Days, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};

#[tokio::test]
async fn the_figures_of_days_meet_the_contract_of_the_day_store() {
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&unique_name("days"));
    tables.create(&connection).await.unwrap();
    contract::day_store(&Days::new(&connection, &tables)).await;
}
