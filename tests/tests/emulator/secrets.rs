//! The keys of pseudonyms and quotes in Secrets Manager.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use equilibrium_aws::secrets::{QuoteKeySecret, pseudonym_key, pseudonym_key_name, quote_key_name};
use equilibrium_tests::harness::emulator::{emulator, sdk_config, unique_name};

const DEADLINE: Duration = Duration::from_secs(20);
const KEY: &str = "000102030405060708090a0b0c0d0e0f";

#[tokio::test]
async fn the_key_is_the_value_of_its_secret() {
    let (sdk, deployment) = (sdk_config(&emulator().endpoint), unique_name("secrets"));
    let client = Client::new(&sdk);
    let name = pseudonym_key_name(&deployment);
    client.create_secret().name(&name).secret_string(KEY).send().await.unwrap();
    let key = pseudonym_key(&sdk, &deployment, DEADLINE).await.unwrap();
    assert_eq!(key.to_hex().as_str(), KEY);

    // A rotated key is the one that the next instance reads.
    let rotated = KEY.replace('0', "f");
    client.put_secret_value().secret_id(&name).secret_string(&rotated).send().await.unwrap();
    assert_eq!(pseudonym_key(&sdk, &deployment, DEADLINE).await.unwrap().to_hex().as_str(), rotated);
}

#[tokio::test]
async fn a_secret_that_is_no_key_is_an_error_which_does_not_contain_it() {
    let (sdk, deployment) = (sdk_config(&emulator().endpoint), unique_name("secrets"));
    let name = pseudonym_key_name(&deployment);
    Client::new(&sdk).create_secret().name(&name).secret_string(&KEY[1..]).send().await.unwrap();
    let error = pseudonym_key(&sdk, &deployment, DEADLINE).await.unwrap_err().to_string();
    assert_eq!(error, format!("secret {name}: its value is not 32 hexadecimal digits"));
}

#[tokio::test]
async fn an_absent_secret_and_an_absent_service_are_errors() {
    let deployment = unique_name("secrets");
    let absent = pseudonym_key(&sdk_config(&emulator().endpoint), &deployment, DEADLINE).await.unwrap_err();
    assert!(absent.to_string().contains("ResourceNotFoundException"), "{absent}");
    // Nothing listens on port 1.
    let unreachable = pseudonym_key(&sdk_config("http://127.0.0.1:1"), &deployment, DEADLINE).await;
    assert!(unreachable.unwrap_err().to_string().contains("dispatch failure"));
}

#[tokio::test]
async fn the_key_of_quotes_before_a_rotation_is_read_with_the_new_one() {
    let (sdk, deployment) = (sdk_config(&emulator().endpoint), unique_name("secrets"));
    let (client, name) = (Client::new(&sdk), quote_key_name(&deployment));
    let secret = QuoteKeySecret::new(&sdk, &deployment, DEADLINE);
    assert!(secret.read().await.is_err(), "there is no secret yet");
    let [old, new] = ["01", "02"].map(|byte| byte.repeat(32));
    client.create_secret().name(&name).secret_string(&old).send().await.unwrap();
    let before = secret.read().await.unwrap();
    assert!(before.previous.is_none());

    client.put_secret_value().secret_id(&name).secret_string(&new).send().await.unwrap();
    let after = secret.read().await.unwrap();
    assert_ne!(format!("{:?}", after.current), format!("{:?}", before.current));
    assert_eq!(format!("{:?}", after.previous.unwrap()), format!("{:?}", before.current));

    client.put_secret_value().secret_id(&name).secret_string(&old[1..]).send().await.unwrap();
    let error = secret.read().await.unwrap_err().to_string();
    assert_eq!(error, format!("secret {name}: its value is not 64 hexadecimal digits"));
}
