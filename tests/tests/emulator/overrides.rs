//! Overrides in DynamoDB.

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::contract;
use equilibrium_aws::dynamodb::{Connection, Overrides, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};

#[tokio::test]
async fn overrides_meet_the_contract_of_the_override_store() {
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&unique_name("overrides"));
    tables.create(&connection).await.unwrap();
    contract::override_store(&Overrides::new(&connection, &tables), system_now_ms()).await;
}
