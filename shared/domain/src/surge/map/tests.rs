//! Maps and changes read back, and invalid ones are refused.

use proptest::prelude::*;

use super::*;

fn names(products: &[&str]) -> Vec<ProductId> {
    products.iter().map(|product| ProductId::new(product).unwrap()).collect()
}

fn head() -> MapHead {
    MapHead {
        city: CityId::new("nyc").unwrap(),
        version: 1 << 40,
        as_of: 1_772_000_005_000,
        lanes_reported: 63,
        lanes: 64,
        began_ms: 7,
        feed: Feed::Ok,
        resolution: 8,
        products: names(&["standard", "xl"]),
        chunks: vec![
            ChunkName { parent: Cell(0x0852_a100_ffff_ffff), version: 7 },
            ChunkName { parent: Cell(0x0852_a103_ffff_ffff), version: 1 << 40 },
        ],
    }
}

#[test]
fn a_resolution_that_h3_does_not_have_is_refused() {
    for resolution in [16, 128] {
        assert_eq!(invalid(MapHead::decode(&MapHead { resolution, ..head() }.encode())), "a resolution");
    }
}

fn invalid<T: std::fmt::Debug>(read: Result<T, Corrupt>) -> &'static str {
    match read.unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

fn sealed(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    wire::begin(&mut frame, kind);
    frame.extend_from_slice(content);
    wire::seal(&mut frame);
    frame
}

prop_compose! {
    fn row()(product in any::<u8>(), cell in any::<u64>(), demand in any::<u32>(), supply in any::<u32>(), multiplier in 1..=10_000_u16) -> Row {
        Row { product, cell: Cell(cell), demand, supply, published: Published::new(multiplier).unwrap() }
    }
}

#[test]
fn a_head_reads_back() {
    assert_eq!(MapHead::decode(&head().encode()), Ok(head()));
    let bare = MapHead { products: vec![], chunks: vec![], as_of: -5_000, ..head() };
    assert_eq!(MapHead::decode(&bare.encode()), Ok(bare));
}

#[test]
fn frames_of_another_kind_are_refused() {
    let (head, chunk) = (head().encode(), encode_chunk(&[]));
    assert_eq!(decode_chunk(&chunk), Ok(vec![]));
    assert_eq!(MapHead::decode(&chunk), Err(Corrupt::NotThis { kind: Kind::MapHead }));
    assert_eq!(decode_chunk(&head), Err(Corrupt::NotThis { kind: Kind::MapChunk }));
    assert_eq!(TickChanges::decode(&head), Err(Corrupt::NotThis { kind: Kind::Changes }));
    for cut in 0..head.len() {
        assert!(MapHead::decode(&head[..cut]).is_err());
    }
}

#[test]
fn invalid_content_with_a_valid_checksum_is_refused() {
    assert_eq!(invalid(MapHead::decode(&sealed(Kind::MapHead, b"\x03NYC"))), "a city");
    assert_eq!(invalid(TickChanges::decode(&sealed(Kind::Changes, b"\x03NYC"))), "a city");
    let row = |multiplier: u64| {
        let mut content = vec![0, 2, 1, 1];
        put_varint_u64(&mut content, multiplier);
        decode_chunk(&sealed(Kind::MapChunk, &content))
    };
    assert_eq!(row(12_100).unwrap().len(), 1);
    for multiplier in [0, 12_101, 65_536, 1 << 40] {
        assert_eq!(invalid(row(multiplier)), "a published multiplier", "{multiplier}");
    }
    let change = |before: u64| {
        let mut content = b"\x03nyc\x00\x01\x00\x00\x02\x01\x01\x64".to_vec();
        put_varint_u64(&mut content, before);
        TickChanges::decode(&sealed(Kind::Changes, &content))
    };
    assert_eq!(change(65_535).unwrap().changes[0].before, 65_535);
    assert_eq!(invalid(change(65_536)), "a published multiplier");
}

#[test]
fn rows_of_neighbouring_cells_take_few_bytes() {
    let cell = |number: u64| Cell(0x0882_a100_001f_ffff + (number << 21));
    let published = Published::ONE;
    let row = |number| Row { product: 0, cell: cell(number), demand: 3, supply: 4, published };
    let bytes = |rows: u64| encode_chunk(&(0..rows).map(row).collect::<Vec<_>>()).len();
    assert_eq!(bytes(101) - bytes(1), 100 * 8);
}

/// Changes of `count` rows, each of which takes the most bytes.
fn large_changes(count: u32) -> TickChanges {
    let change = |number: u32| {
        let cell = Cell(if number.is_multiple_of(2) { 1 << 62 } else { 0 });
        let published = Published::new(12_100).unwrap();
        let row = Row { product: 1, cell, demand: u32::MAX, supply: u32::MAX - number, published };
        Change { row, before: 65_535 }
    };
    let changes = (0..count).map(change).collect();
    TickChanges { city: head().city, at: 5_000, version: 7, products: head().products, changes }
}

#[test]
fn very_many_changes_of_a_tick_are_several_records_that_need_no_other() {
    let records = |count| large_changes(count).records();
    assert_eq!(records(0).len(), 1);
    let (mut one, mut first_of_two) = (0, 100_000);
    while first_of_two - one > 1 {
        let middle = u32::midpoint(one, first_of_two);
        if records(middle).len() == 1 { one = middle } else { first_of_two = middle }
    }
    let full = records(first_of_two - 1);
    assert_eq!(full.len(), 1);
    assert!((MAX_CHANGES_RECORD_BYTES - 60..=MAX_CHANGES_RECORD_BYTES).contains(&full[0].len()));

    for count in [first_of_two - 1, first_of_two, 2 * first_of_two, 3 * first_of_two + 1] {
        let whole = large_changes(count);
        let mut changes = Vec::new();
        // In any order: a reader sets each cell and product to its new value.
        for record in whole.records().iter().rev() {
            assert!(record.len() <= MAX_CHANGES_RECORD_BYTES);
            let part = TickChanges::decode(record).unwrap();
            assert_eq!((part.at, part.version, &part.products), (whole.at, whole.version, &whole.products));
            changes.splice(0..0, part.changes);
        }
        assert_eq!(changes, whole.changes, "{count}");
    }
}

proptest! {
    #[test]
    fn a_chunk_reads_back(rows in prop::collection::vec(row(), 0..40)) {
        prop_assert_eq!(decode_chunk(&encode_chunk(&rows)), Ok(rows));
    }

    #[test]
    fn changes_read_back(rows in prop::collection::vec((row(), any::<u16>()), 0..40), at in -1_000_000_000_000..2_000_000_000_000_i64, version in any::<u64>()) {
        let changes = rows.into_iter().map(|(row, before)| Change { row, before }).collect();
        let changes = TickChanges { city: head().city, at, version, products: head().products, changes };
        prop_assert_eq!(changes.records().iter().map(|record| TickChanges::decode(record)).collect::<Vec<_>>(), [Ok(changes)]);
    }

    #[test]
    fn any_content_is_decoded_or_an_error(content in any::<Vec<u8>>()) {
        let _ = MapHead::decode(&sealed(Kind::MapHead, &content));
        let _ = decode_chunk(&sealed(Kind::MapChunk, &content));
        let _ = TickChanges::decode(&sealed(Kind::Changes, &content));
    }
}
