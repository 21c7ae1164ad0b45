//! How large a body may be, and what of a packed one is ever inflated.

use crate::world::{Call, NOW, World, gzip, ping, post, sample};

const MIB: usize = 1 << 20;

/// One event and spaces to fill `length` bytes.
fn body_of(length: usize) -> String {
    let event = ping("d", NOW);
    format!("{event}\n{}", " ".repeat(length - event.len() - 1))
}

/// What says to be packed.
fn packed_bytes(bytes: &[u8]) -> Call {
    sample("gzip").with_bytes(bytes)
}

#[tokio::test]
async fn a_body_of_one_mebibyte_is_taken_and_one_byte_more_is_not() {
    for content_type in ["application/x-ndjson", "application/json"] {
        let body = |length| match content_type {
            "application/json" => {
                format!("[{}]{}", ping("d", NOW), " ".repeat(length - ping("d", NOW).len() - 2))
            }
            _ => body_of(length),
        };
        for form in [
            |plain: Call| plain,
            |plain: Call| plain.packed(),
            |plain: Call| plain.clone().with_bytes(plain.text().as_bytes()),
        ] {
            let world = World::new();
            let reply = world.send(&form(post(content_type, &body(MIB)))).await;
            assert_eq!((reply.status, reply.json()["accepted"].as_u64()), (202, Some(1)));
            let world = World::new();
            let reply = world.send(&form(post(content_type, &body(MIB + 1)))).await;
            assert_eq!((reply.status, reply.json()["code"].as_str()), (413, Some("body_too_large")));
            assert!(world.log.lanes().is_empty());
        }
    }
}

#[tokio::test]
async fn a_bomb_is_inflated_no_further_than_it_takes_to_know_it() {
    let mut bomb = gzip(&vec![b' '; 64 * MIB]);
    assert!(bomb.len() < MIB);
    // Behind the limit it is broken: who reads on finds out.
    let quarter = bomb.len() / 4;
    bomb.truncate(quarter);
    bomb.extend_from_slice(&[0xff; 64]);
    assert_eq!(World::new().send(&packed_bytes(&bomb)).await.status, 413);
}

#[tokio::test]
async fn half_a_packed_body_and_what_is_none_are_unreadable() {
    let whole = gzip(body_of(4000).as_bytes());
    let mut wrong_sum = whole.clone();
    wrong_sum[whole.len() - 8] ^= 1;
    let behind = [whole.as_slice(), b"more"].concat();
    for bytes in [&whole[..whole.len() - 1], &whole[..5], b"{}", &wrong_sum, &behind] {
        let world = World::new();
        let reply = world.send(&packed_bytes(bytes)).await;
        assert_eq!((reply.status, reply.json()["code"].as_str()), (400, Some("malformed_gzip")));
        assert!(world.log.lanes().is_empty());
    }
}
