//! Policies in DynamoDB.

use equilibrium_app::clock::system_now_ms;
use equilibrium_app::contract;
use equilibrium_app::policy::ports::{NewVersion, PolicyStore, ReplaceError};
use equilibrium_aws::dynamodb::{Connection, Policies, Tables};
use equilibrium_aws::retry::RetryPolicy;
use equilibrium_domain::id::CityId;
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};
use futures_util::future::join_all;

async fn policies(test: &str) -> Policies {
    let connection = Connection::new(&sdk_config(&emulator().endpoint), RetryPolicy::default());
    let tables = Tables::named(&unique_name(test));
    tables.create(&connection).await.unwrap();
    Policies::new(&connection, &tables)
}

#[tokio::test]
async fn policies_meet_the_contract_of_the_policy_store() {
    let policies = policies("policies").await;
    contract::policy_store(&policies).await;
    contract::policy_versions(&policies, system_now_ms()).await;
}

#[tokio::test]
async fn one_of_many_concurrent_replacements_wins() {
    let policies = policies("replaced").await;
    let city = CityId::new("nyc").unwrap();
    for after in [None, Some(1)] {
        let documents: Vec<String> = (0..6).map(|number| format!("{{\"name\":\"{number}\"}}")).collect();
        let outcomes = join_all(
            documents.iter().map(|document| policies.save(&city, NewVersion::local(document), after)),
        )
        .await;
        let winner = outcomes.iter().position(Result::is_ok).unwrap();
        let mismatches = outcomes.iter().filter(|outcome| **outcome == Err(ReplaceError::VersionMismatch));
        assert_eq!(mismatches.count(), 5);
        assert_eq!(policies.all().await.unwrap()[0].document, documents[winner]);
    }
}

#[tokio::test]
async fn policies_are_read_over_many_pages() {
    let policies = policies("many").await;
    let document = "x".repeat(300_000);
    for number in 0..5 {
        policies
            .save(&CityId::new(&format!("city-{number}")).unwrap(), NewVersion::local(&document), None)
            .await
            .unwrap();
    }
    assert_eq!(policies.all().await.unwrap().len(), 5);
}
