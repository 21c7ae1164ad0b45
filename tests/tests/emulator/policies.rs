//! Policies in DynamoDB.

use equilibrium_app::contract;
use equilibrium_app::policy::ports::{PolicyStore, ReplaceError};
use equilibrium_aws::dynamodb::{Connection, Policies, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::CityId;
use futures_util::future::join_all;

use crate::emulator::{config, emulator, fresh};

async fn policies(test: &str) -> Policies {
    let connection = Connection::new(&config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&fresh(test));
    tables.create(&connection).await.unwrap();
    Policies::new(&connection, &tables)
}

#[tokio::test]
async fn policies_keep_the_contract() {
    contract::policy_store(&policies("policies").await).await;
}

#[tokio::test]
async fn of_many_replacements_at_once_one_wins() {
    let policies = policies("replaced").await;
    let city = CityId::new("nyc").unwrap();
    for after in [None, Some(1)] {
        let documents: Vec<String> = (0..6).map(|number| format!("{{\"name\":\"{number}\"}}")).collect();
        let outcomes = join_all(documents.iter().map(|document| policies.save(&city, document, after))).await;
        let winner = outcomes.iter().position(Result::is_ok).unwrap();
        let lost = outcomes.iter().filter(|outcome| **outcome == Err(ReplaceError::VersionMismatch));
        assert_eq!(lost.count(), 5);
        assert_eq!(policies.all().await.unwrap()[0].document, documents[winner]);
    }
}

#[tokio::test]
async fn more_policies_than_one_answer_holds_are_all_read() {
    let policies = policies("many").await;
    let document = "x".repeat(300_000);
    for number in 0..5 {
        policies.save(&CityId::new(&format!("city-{number}")).unwrap(), &document, None).await.unwrap();
    }
    assert_eq!(policies.all().await.unwrap().len(), 5);
}
