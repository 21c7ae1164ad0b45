//! The frames of the streams and of the map, and the rows of the embedded store.

use equilibrium_domain::count::tick_counts::{self, TickCounts};
use equilibrium_domain::event::watermark;
use equilibrium_domain::event::watermark_board::BoardPart;
use equilibrium_domain::parking::{self, LogMark, ParkedLogNote};
use equilibrium_domain::surge::map::{self, MapHead, TickChanges};
use equilibrium_domain::wire::{self, Corrupt, Kind};
use equilibrium_embedded::record_batch;

use crate::select;

/// What is decoded is encoded to the same bytes: every content has one encoding.
pub fn target(input: &[u8]) {
    let (selected, content) = select(input);
    match selected % 10 {
        0 => same_bytes(content, Kind::Watermark, |frame| {
            let record = watermark::read(frame)?;
            let cities = record.cities.iter().map(|(city, watermark)| (city, *watermark));
            Ok(watermark::write(record.lane, record.lanes, cities))
        }),
        1 => counts(content),
        2 => same_bytes(content, Kind::LogMark, |frame| {
            LogMark::decode(frame).map(|mark| mark.encode()).ok_or(Corrupt::NotThis { kind: Kind::LogMark })
        }),
        3 => same_bytes(content, Kind::ParkedRecords, |frame| {
            let records = parking::decode_records(frame)?;
            Ok(parking::encode_records(parking::record_batch(&records).iter()))
        }),
        4 => same_bytes(content, Kind::ParkedLog, |frame| Ok(ParkedLogNote::decode(frame)?.encode())),
        5 => same_bytes(content, Kind::MapHead, |frame| Ok(MapHead::decode(frame)?.encode())),
        6 => same_bytes(content, Kind::MapChunk, |frame| Ok(map::encode_chunk(&map::decode_chunk(frame)?))),
        7 => same_bytes(content, Kind::BoardPart, |frame| Ok(BoardPart::decode(frame)?.encode())),
        8 => same_bytes(content, Kind::Changes, |frame| Ok(TickChanges::decode(frame)?.records().concat())),
        _ => {
            let Ok(records) = record_batch::decode(content) else { return };
            assert_eq!(record_batch::encode(records.iter()), content);
        }
    }
}

/// The frame of this content, with its checksum.
pub fn frame(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    wire::begin(&mut frame, kind);
    frame.extend_from_slice(content);
    wire::seal(&mut frame);
    frame
}

fn same_bytes(content: &[u8], kind: Kind, encoded: impl Fn(&[u8]) -> Result<Vec<u8>, Corrupt>) {
    let frame = frame(kind, content);
    if let Ok(encoded) = encoded(&frame) {
        assert_eq!(encoded, frame);
    }
    // Without head and checksum the bytes are hardly ever a frame, but they are any bytes.
    drop(encoded(content));
}

fn counts(content: &[u8]) {
    let frame = frame(Kind::Counts, content);
    let Ok(record) = tick_counts::open(&frame) else { return };
    for city in record.cities {
        let Ok(ticks) = tick_counts::read_tick_counts(city.ticks, city.products.len()) else { continue };
        assert!(ticks.len() <= city.ticks.len(), "more ticks than bytes");
        for tick in ticks {
            let TickCounts::Tick { supply, demand, .. } = tick else { continue };
            for rows in [supply, demand] {
                assert!(
                    rows.is_sorted_by(|a, b| a.place < b.place) && rows.iter().all(|row| row.entities > 0)
                );
            }
        }
    }
}
