//! The size limit of a body, and how much of a compressed one is inflated.

use equilibrium_domain::event::MAX_EVENT_BYTES;

use crate::fixture::{Call, Fixture, NOW, gzip, lane_of, ping, post, pseudonym, sample};

const MIB: usize = 1 << 20;

/// One event, padded with spaces to `length` bytes.
fn body_of(length: usize) -> String {
    let event = ping("d", NOW);
    format!("{event}\n{}", " ".repeat(length - event.len() - 1))
}

/// A call whose body has `bytes` and claims to be gzip.
fn claimed_gzip(bytes: &[u8]) -> Call {
    sample("post-events-gzip").with_bytes(bytes)
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_accepted_and_one_more_byte_is_refused() {
    for content_type in ["application/x-ndjson", "application/json"] {
        let body = |length| match content_type {
            "application/json" => {
                format!("[{}]{}", ping("d", NOW), " ".repeat(length - ping("d", NOW).len() - 2))
            }
            _ => body_of(length),
        };
        for form in [
            |plain: Call| plain,
            |plain: Call| plain.gzipped(),
            |plain: Call| plain.clone().with_bytes(plain.text().as_bytes()),
        ] {
            let fixture = Fixture::new();
            let reply = fixture.send(&form(post(content_type, &body(MIB)))).await;
            assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (202, Some(1)));
            let fixture = Fixture::new();
            let reply = fixture.send(&form(post(content_type, &body(MIB + 1)))).await;
            assert_eq!((reply.status, reply.json()["code"].as_str()), (413, Some("body_too_large")));
            assert!(fixture.log.lanes().is_empty());
        }
    }
}

#[tokio::test]
async fn a_decompression_bomb_is_inflated_only_up_to_the_limit() {
    let mut bomb = gzip(&vec![b' '; 64 * MIB]);
    assert!(bomb.len() < MIB);
    // Corrupt after the limit: inflating further would give another error.
    let quarter = bomb.len() / 4;
    bomb.truncate(quarter);
    bomb.extend_from_slice(&[0xff; 64]);
    assert_eq!(Fixture::new().send(&claimed_gzip(&bomb)).await.status, 413);
}

#[tokio::test]
async fn a_truncated_or_corrupt_gzip_body_is_malformed() {
    let whole = gzip(body_of(4000).as_bytes());
    let mut wrong_sum = whole.clone();
    wrong_sum[whole.len() - 8] ^= 1;
    let trailing = [whole.as_slice(), b"more"].concat();
    for bytes in [&whole[..whole.len() - 1], &whole[..5], b"{}", &wrong_sum, &trailing] {
        let fixture = Fixture::new();
        let reply = fixture.send(&claimed_gzip(bytes)).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("malformed_gzip")));
        assert!(fixture.log.lanes().is_empty());
    }
}

#[tokio::test]
async fn a_body_of_many_lines_lets_other_tasks_go_on() {
    let fixture = Fixture::new();
    let body = "x\n".repeat(MIB / 2);
    let posted = post("application/x-ndjson", &body);
    let mut posting = std::pin::pin!(fixture.send(&posted));
    let mut turns = 0;
    let reply = loop {
        tokio::select! {
            biased;
            reply = &mut posting => break reply,
            () = std::future::ready(()) => turns += 1,
        }
    };
    assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (202, Some(0)));
    assert!(turns >= 1_000, "{turns}");
}

#[tokio::test]
async fn an_event_that_becomes_too_large_for_a_line_of_the_log_is_refused_whole() {
    let products: Vec<String> = (0..64).map(|n| format!("{n:064}")).collect();
    let fixture = Fixture::with_products(&products);
    // The longest line whose canonical form is a line of the log, and one byte more.
    let line = |id: &str| {
        let list = products[..58].iter().map(|id| format!("\"{id}\"")).collect::<Vec<_>>().join(",");
        let line = ping("d", NOW).replace("\"status\"", &format!("\"products\":[{list}],\"status\""));
        line.replace("\"id\":\"e\"", &format!("\"id\":\"{id}\""))
    };
    let growth = pseudonym("d").len() - 1;
    let id = "e".repeat(MAX_EVENT_BYTES - growth - line("").len());
    let lines = [line(&id), line(&format!("{id}e")), ping("d", NOW)];
    assert!(lines[1].len() < MAX_EVENT_BYTES);
    let reply = fixture.send_lines(&lines).await;
    assert_eq!(reply.refused(), [(1, "too_large".to_owned())]);
    let records = fixture.log.lanes().remove(&lane_of("d")).unwrap();
    let logged: Vec<usize> =
        records.iter().flat_map(|record| record.split(|b| *b == b'\n')).map(<[u8]>::len).collect();
    assert!(logged.contains(&MAX_EVENT_BYTES), "{logged:?}");
}
