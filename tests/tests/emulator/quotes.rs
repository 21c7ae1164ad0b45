//! Confirmed quotes in DynamoDB.

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::contract;
use equilibrium_app::quote::ports::{Confirmation, QuoteStore};
use equilibrium_aws::dynamodb::{Connection, Quotes, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::quote::QuoteId;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use futures_util::future::join_all;

async fn tables(test: &str) -> (Connection, Tables) {
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&unique_name(test));
    tables.create(&connection).await.unwrap();
    (connection, tables)
}

#[tokio::test]
async fn confirmed_quotes_meet_the_contract_of_the_quote_store() {
    let (connection, tables) = tables("quotes").await;
    contract::quote_store(&Quotes::new(&connection, &tables), system_now_ms()).await;
}

#[tokio::test]
async fn of_200_confirmations_by_two_instances_at_once_one_is_new() {
    let (connection, tables) = tables("confirmed").await;
    let instances = [Quotes::new(&connection, &tables), Quotes::new(&connection, &tables)];
    let confirmation = Confirmation {
        token: "t".repeat(1_000),
        confirmed_at: system_now_ms(),
        idempotency_key: None,
        is_logged: false,
    };
    let attempts = (0..200).map(|number| instances[number % 2].confirm(QuoteId(9), &confirmation));
    let answers = join_all(attempts).await;
    let new = answers.iter().filter(|answer| matches!(answer, Ok(None))).count();
    let repeated = answers.iter().filter(|answer| **answer == Ok(Some(confirmation.clone()))).count();
    // A call that was not answered in time is none of either.
    assert!(new <= 1 && repeated >= 1, "{new} new, {repeated} repeated");
    assert_eq!(instances[0].confirmation(QuoteId(9)).await, Ok(Some(confirmation)));
}
