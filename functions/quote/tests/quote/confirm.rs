//! `GET /v1/quotes/{id}` and `POST /v1/quotes/{id}/confirm`.

use equilibrium_app::quote::ports::QuoteStore;
use equilibrium_domain::quote::QuoteId;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::fixture::*;

const ACK: &str = r#"{"ack_multiplier": 2.4}"#;
const EXPIRY: i64 = TICK + 120_000;

/// A quote at 2.4, which must be acknowledged, and its id.
async fn quoted() -> (Fixture, String, Value) {
    let fixture = Fixture::priced(240).await;
    let quote = fixture.quote().await;
    let id = quote["quote_id"].as_str().unwrap().to_owned();
    (fixture, id, quote)
}

#[tokio::test]
async fn a_confirmed_quote_is_the_quote_and_says_so_for_ever() {
    let (fixture, id, mut quote) = quoted().await;
    let response = fixture.confirm(&id, Some("ride-1"), ACK, TICK + 60_000).await;
    let confirmed = body(&response);
    assert_eq!(response.status, 200, "{confirmed}");
    quote["status"] = "confirmed".into();
    quote["confirmed_at"] = "2026-02-25T06:14:20.000Z".into();
    assert_eq!(confirmed, quote);
    for now_ms in [TICK + 60_001, EXPIRY, TICK + 80 * 86_400_000] {
        assert_eq!(body(&fixture.read(&id, now_ms).await), confirmed);
        let repeat = fixture.confirm(&id, Some("ride-1"), "", now_ms).await;
        assert_eq!((repeat.status, body(&repeat)), (200, confirmed.clone()));
    }
    // A price that moves on changes nothing.
    fixture.publish(500, equilibrium_domain::surge::feed_guard::Feed::Ok).await;
    assert_eq!(body(&fixture.read(&id, EXPIRY).await), confirmed);
}

#[tokio::test]
async fn refusals_come_in_the_order_of_the_contract() {
    let (fixture, id, _) = quoted().await;
    let refused =
        async |key, body: &'static str, now_ms| problem(&fixture.confirm(&id, key, body, now_ms).await);
    let code = |status: u16, code: &str| (status, code.to_owned());
    assert_eq!(refused(None, "", TICK).await, code(422, "ack_required"));
    assert_eq!(refused(None, r#"{"ack_multiplier": 2.3}"#, TICK).await, code(422, "ack_required"));
    assert_eq!(refused(None, "", EXPIRY).await, code(410, "expired"), "before the acknowledgement");
    assert_eq!(body(&fixture.read(&id, EXPIRY - 1).await)["status"], "valid");
    assert_eq!(body(&fixture.read(&id, EXPIRY).await)["status"], "expired");
    assert_eq!(fixture.confirm(&id, None, ACK, EXPIRY - 1).await.status, 200);
    for key in [None, Some("other")] {
        assert_eq!(refused(key, ACK, EXPIRY + 1).await, code(409, "already_confirmed"), "before the expiry");
    }
    assert_eq!(refused(Some(""), ACK, TICK).await.0, 400);
    let long = "k".repeat(65);
    assert_eq!(problem(&fixture.confirm(&id, Some(&long), ACK, TICK).await).0, 400);
}

#[tokio::test]
async fn an_idempotency_key_is_any_text_of_1_to_64_visible_characters() {
    for key in ["k", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "ride 7/3", &"~".repeat(64)] {
        let (fixture, id, _) = quoted().await;
        let first = fixture.confirm(&id, Some(key), ACK, TICK).await;
        assert_eq!(first.status, 200, "{key}");
        assert_eq!(body(&fixture.confirm(&id, Some(key), "", EXPIRY).await), body(&first), "{key}");
    }
}

#[tokio::test]
async fn a_multiplier_that_needs_no_acknowledgement_may_have_one() {
    let fixture = Fixture::priced(200).await;
    let quote = fixture.quote().await;
    assert_eq!(quote["requires_ack"], false, "at ack_above, not over it");
    let id = quote["quote_id"].as_str().unwrap();
    assert_eq!(fixture.confirm(id, None, r#"{"ack_multiplier": 2.0, "note": 1}"#, TICK).await.status, 200);
}

#[tokio::test]
async fn of_200_confirmations_at_once_one_succeeds_and_one_event_is_logged() {
    let (fixture, id, _) = quoted().await;
    let keys: Vec<String> = (0..200).map(|number| format!("key-{number}")).collect();
    let attempts = keys.iter().map(|key| fixture.confirm(&id, Some(key), ACK, TICK));
    let statuses: Vec<u16> = join_all(attempts).await.iter().map(|response| response.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1);
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 199);
    assert_eq!(fixture.log.take().len(), 1);
    let metrics = fixture.service.take_metrics();
    assert_eq!((metrics.issued, metrics.confirmed, metrics.refused), (1, 1, 199));
}

#[tokio::test]
async fn a_token_that_is_not_this_deployments_is_unknown_whatever_is_wrong_with_it() {
    let (fixture, id, _) = quoted().await;
    let mut other = Fixture::priced(240).await;
    other.service = service(2, &other.store, &other.log);
    let foreign = other.quote().await["quote_id"].as_str().unwrap().to_owned();
    let mut forged = id.clone().into_bytes();
    forged[60] ^= 1;
    let forged = String::from_utf8(forged).unwrap();
    let mut answers = Vec::new();
    for token in [&foreign, &forged, &id[..id.len() - 1], "x", "..", &"x".repeat(2_000)] {
        answers.push(fixture.read(token, TICK).await);
        answers.push(fixture.confirm(token, Some("k"), ACK, TICK).await);
    }
    let first = &answers[0];
    assert_eq!(problem(first), (404, "unknown_quote".to_owned()));
    assert!(answers.iter().all(|answer| body(answer) == body(first) && answer.headers == first.headers));
}

#[tokio::test]
async fn a_confirmation_stands_while_the_log_is_down_and_its_event_follows() {
    let (fixture, id, _) = quoted().await;
    fixture.log.set_down(true);
    assert_eq!(fixture.confirm(&id, Some("k"), ACK, TICK + 1_000).await.status, 200);
    assert_eq!(fixture.confirm(&id, Some("k"), ACK, TICK + 1_000).await.status, 200);
    assert_eq!(fixture.service.take_metrics().unlogged, 2);
    fixture.log.set_down(false);
    assert_eq!(fixture.log.take(), Vec::<Value>::new());
    assert_eq!(fixture.read(&id, EXPIRY).await.status, 200);
    let events = fixture.log.take();
    let quote_id = QuoteId::parse(events[0]["id"].as_str().unwrap()).unwrap();
    assert_eq!(
        events,
        [json!({"type": "quote_confirmed", "id": quote_id.to_string(), "time": "2026-02-25T06:13:21.000Z",
            "city": "nyc", "product": "standard"})]
    );
    assert!(fixture.store.confirmation(quote_id).await.unwrap().unwrap().is_logged);
    fixture.read(&id, EXPIRY).await;
    assert_eq!(fixture.log.take(), Vec::<Value>::new(), "it is logged once from then on");
}
