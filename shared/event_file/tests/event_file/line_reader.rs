//! Lines across block boundaries.

use equilibrium_domain::event::MAX_EVENT_BYTES;
use equilibrium_event_file::line_reader::LineSplitter;

fn split(blocks: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut lines = LineSplitter::default();
    let mut seen = Vec::new();
    for block in blocks {
        lines.push(block, |line| seen.push(line.to_vec()));
    }
    lines.end(|line| seen.push(line.to_vec()));
    seen
}

#[test]
fn block_boundaries_do_not_change_the_lines() {
    let text = b"one\r\ntwo\n\nthree\r\n\r\nfour";
    let whole = split(&[text]);
    assert_eq!(whole, [&b"one"[..], b"two", b"", b"three", b"", b"four"]);
    for at in 0..=text.len() {
        assert_eq!(split(&[&text[..at], &text[at..]]), whole, "split at {at}");
    }
}

#[test]
fn a_byte_order_mark_is_skipped_wherever_the_first_block_ends() {
    let longest = "a".repeat(MAX_EVENT_BYTES);
    let text = format!("\u{feff}{longest}\r\n\u{feff}b");
    for block in [1, 2, 3, 4, 5_000] {
        let lines = split(&text.as_bytes().chunks(block).collect::<Vec<_>>());
        assert_eq!(lines, [longest.as_bytes(), "\u{feff}b".as_bytes()], "{block}");
        assert!(split(&"\u{feff}".as_bytes().chunks(block).collect::<Vec<_>>()).is_empty());
    }
}

#[test]
fn a_line_too_long_stays_too_long_and_is_truncated() {
    for block in [1000, 4096, 4097, 4098, 100_000] {
        let text = [vec![b'\r'; 200_000], b"\nnext".to_vec()].concat();
        let lines = split(&text.chunks(block).collect::<Vec<_>>());
        assert_eq!(lines.len(), 2);
        assert!(lines[0].len() > MAX_EVENT_BYTES);
        assert_eq!(lines[1], b"next");
    }
    let longest = [vec![b'a'; MAX_EVENT_BYTES], b"\r\n".to_vec()].concat();
    for block in [1000, 4096, 4097, 5000] {
        assert_eq!(split(&longest.chunks(block).collect::<Vec<_>>()), [vec![b'a'; MAX_EVENT_BYTES]]);
    }
}
