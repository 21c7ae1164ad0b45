//! Tick counts of any size read back, and invalid ones are refused.

use proptest::prelude::*;

use super::*;
use crate::id::ProductId;

fn lanes() -> LaneCount {
    LaneCount::new(4).unwrap()
}

fn names(products: &[&str]) -> Vec<ProductId> {
    products.iter().map(|product| ProductId::new(product).unwrap()).collect()
}

fn section(city: &str, writer: TickCountsWriter) -> CityCounts {
    CityCounts {
        city: CityId::new(city).unwrap(),
        products: names(&["standard", "xl"]).into(),
        ticks: writer,
    }
}

fn count(cell: u64, products: u64, entities: u32) -> Count {
    Count { place: Place { cell, products }, entities }
}

/// A cell of resolution 8: its last bits are all ones.
fn cell(number: u64) -> u64 {
    0x0880_0000_0000_0000 | number << 21 | 0x1f_ffff
}

fn read(writer: TickCountsWriter) -> Vec<TickCounts> {
    let records = records(LaneId(1), lanes(), vec![section("nyc", writer)]);
    let mut read = Vec::new();
    for record in &records {
        for section in open(record).unwrap().cities {
            read.extend(read_tick_counts(section.ticks, section.products.len()).unwrap());
        }
    }
    read
}

fn invalid<T: std::fmt::Debug>(read: Result<T, Corrupt>) -> &'static str {
    match read.unwrap_err() {
        Corrupt::Invalid { what, .. } => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn consecutive_empty_ticks_are_one_run() {
    let mut writer = TickCountsWriter::default();
    assert!(writer.is_empty());
    writer.add_empty(5_000, 10_000, 5_000);
    assert!(!writer.is_empty());
    writer.add_tick(15_000, 5_000, Contact::default(), std::iter::empty(), std::iter::empty());
    writer.add_empty(25_000, 25_000, 5_000);
    writer.add_tick(
        30_000,
        5_000,
        Contact::default(),
        [count(cell(1), 1, 2)].into_iter(),
        std::iter::empty(),
    );
    assert!(!writer.is_empty());
    writer.add_empty(35_000, 40_000, 5_000);
    assert_eq!(
        read(writer),
        [
            TickCounts::Empty { from: 5_000, to: 15_000 },
            TickCounts::Empty { from: 25_000, to: 25_000 },
            TickCounts::Tick {
                at: 30_000,
                first: true,
                last: true,
                contact: Contact::default(),
                supply: vec![count(cell(1), 1, 2)],
                demand: vec![]
            },
            TickCounts::Empty { from: 35_000, to: 40_000 },
        ]
    );
}

#[test]
fn a_row_takes_few_bytes() {
    let rows = |rows: u64| {
        let mut writer = TickCountsWriter::default();
        let supply = (0..rows).map(|number| count(cell(number), 1, 3));
        writer.add_tick(5_000, 5_000, Contact::default(), supply, std::iter::empty());
        let record = records(LaneId(1), lanes(), vec![section("nyc", writer)]).pop().unwrap();
        record.len()
    };
    // A step without the low bits of all cells, and a count.
    assert_eq!(rows(51) - rows(1), 50 * 2);
}

const CONTACT: Contact = Contact { in_touch: 300, lost: 2 };

#[test]
fn a_tick_without_places_may_have_contact() {
    let mut writer = TickCountsWriter::default();
    writer.add_tick(5_000, 5_000, CONTACT, std::iter::empty(), std::iter::empty());
    let (supply, demand) = (vec![], vec![]);
    let tick = TickCounts::Tick { at: 5_000, first: true, last: true, contact: CONTACT, supply, demand };
    assert_eq!(read(writer), [tick]);
}

#[test]
fn a_large_tick_is_split_into_parts_in_order() {
    for (drivers, riders, parts) in [(16_383, 1, 1), (16_384, 0, 1), (16_384, 1, 2), (20_000, 20_000, 3)] {
        let mut writer = TickCountsWriter::default();
        let rows = |rows: u64| (0..rows).map(|number| count(cell(number), 3, 1));
        writer.add_tick(5_000, 5_000, CONTACT, rows(drivers), rows(riders));
        let read = read(writer);
        assert_eq!(read.len(), parts);
        let (mut supplied, mut demanded) = (Vec::new(), Vec::new());
        for (number, part) in read.into_iter().enumerate() {
            let TickCounts::Tick { at, first, last, contact, supply, demand } = part else {
                panic!("a part")
            };
            assert_eq!((at, first, last), (5_000, number == 0, number + 1 == parts));
            assert_eq!(contact, if first { CONTACT } else { Contact::default() });
            assert!(supply.len() + demand.len() <= 16_384);
            supplied.extend(supply);
            demanded.extend(demand);
        }
        assert_eq!(supplied, rows(drivers).collect::<Vec<_>>());
        assert_eq!(demanded, rows(riders).collect::<Vec<_>>());
    }
}

/// Ticks with this number of rows each.
fn large(ticks: i64, rows: u64) -> TickCountsWriter {
    let mut writer = TickCountsWriter::default();
    for tick in 1..=ticks {
        let supply = (0..rows).map(|number| count(cell(number * 5_000), number % 3 + 1, 100_000_000));
        writer.add_tick(tick * 5_000, 5_000, Contact::default(), supply, std::iter::empty());
    }
    writer
}

#[test]
fn records_are_as_few_as_possible_and_not_too_large() {
    let encoded =
        records(LaneId(1), lanes(), vec![section("nyc", large(60, 8_000)), section("suva", large(3, 8_000))]);
    assert!(encoded.len() > 3);
    let mut ticks = Vec::new();
    for (number, record) in encoded.iter().enumerate() {
        assert!(record.len() <= MAX_RECORD_BYTES);
        // Another tick would not have fit.
        assert!(number + 1 == encoded.len() || record.len() > MAX_RECORD_BYTES - 100_000, "{}", record.len());
        let record = open(record).unwrap();
        assert_eq!(record.lane, LaneId(1));
        for section in record.cities {
            assert_eq!(section.products[..], names(&["standard", "xl"]));
            let counts = read_tick_counts(section.ticks, 2).unwrap();
            ticks.extend(counts.iter().map(|counts| match counts {
                TickCounts::Tick { at, .. } => (section.city.to_string(), *at),
                TickCounts::Empty { .. } => panic!("a tick"),
            }));
        }
    }
    let of =
        |city: &str, ticks: i64| (1..=ticks).map(|tick| (city.to_owned(), tick * 5_000)).collect::<Vec<_>>();
    assert_eq!(ticks, [of("nyc", 60), of("suva", 3)].concat());
}

#[test]
fn the_longest_names_leave_room_for_fewer_ticks() {
    let longest: Vec<String> = (0..MAX_PRODUCTS).map(|number| format!("{number:064}")).collect();
    let longest: Vec<&str> = longest.iter().map(String::as_str).collect();
    for products in [names(&["x"]), names(&longest)] {
        let mut writer = TickCountsWriter::default();
        for tick in 1..=100_000 {
            writer.add_tick(
                tick * 5_000,
                5_000,
                Contact::default(),
                [count(cell(1), 1, 2)].into_iter(),
                std::iter::empty(),
            );
        }
        let longest = writer.ends.windows(2).map(|ends| ends[1] - ends[0]).max().unwrap();
        let city = CityId::new(&"c".repeat(32)).unwrap();
        let encoded =
            records(LaneId(1), lanes(), vec![CityCounts { city, products: products.into(), ticks: writer }]);
        let (_, full) = encoded.split_last().unwrap();
        assert!(!full.is_empty());
        for record in full {
            assert!(
                record.len() <= MAX_RECORD_BYTES && record.len() + longest > MAX_RECORD_BYTES,
                "{}",
                record.len()
            );
        }
        assert!(encoded.iter().all(|record| open(record).is_ok()));
    }
}

#[test]
fn sections_share_a_record_if_they_fit() {
    let mut one = TickCountsWriter::default();
    one.add_empty(5_000, 5_000, 5_000);
    let all =
        vec![section("nyc", one.clone()), section("none", TickCountsWriter::default()), section("suva", one)];
    let records = records(LaneId(3), lanes(), all);
    assert_eq!(records.len(), 1);
    let opened = open(&records[0]).unwrap();
    let cities: Vec<_> = opened.cities.iter().map(|section| section.city.as_str()).collect();
    assert_eq!((opened.lane, cities), (LaneId(3), vec!["nyc", "suva"]));
    assert!(
        super::records(LaneId(3), lanes(), vec![section("none", TickCountsWriter::default())]).is_empty()
    );
    assert!(super::records(LaneId(3), lanes(), vec![]).is_empty());
}

#[test]
fn a_record_of_another_stream_or_kind_is_refused() {
    let record = |lane: u64, of: u64, rest: &[u8]| {
        let mut record = Vec::new();
        wire::begin(&mut record, Kind::Counts);
        put_varint_u64(&mut record, lane);
        put_varint_u64(&mut record, of);
        record.extend_from_slice(rest);
        wire::seal(&mut record);
        record
    };
    assert!(open(&record(3, 4, &[])).is_ok());
    assert_eq!(invalid(open(&record(4, 4, &[]))), "a lane count");
    assert_eq!(invalid(open(&record(3, 6, &[]))), "a lane count");
    assert_eq!(invalid(open(&record(3, 4, b"\x03NYC\x00\x00"))), "a city");
    assert_eq!(invalid(open(&record(3, 4, b"\x03nyc\x01\x01 \x00"))), "a product");
    assert_eq!(invalid(open(&record(3, 4, b"\x03nyc\x41"))), "products");
    assert_eq!(invalid(open(&record(3, 4, b"\x03nyc\x00\x05"))), "tick counts");
    let watermark = crate::event::watermark::write(LaneId(0), lanes(), []);
    assert_eq!(open(&watermark).unwrap_err(), Corrupt::NotThis { kind: Kind::Counts });
}

/// A part of the counts of tick 0: its tag, and the numbers after it.
/// A part at tick 0; the first one has no contact with drivers.
fn part(tag: u8, rest: &[u64]) -> Vec<u8> {
    let mut part = vec![tag, 0];
    part.extend(if tag & tag::FIRST == 0 { &[][..] } else { &[0, 0] });
    for number in rest {
        put_varint_u64(&mut part, *number);
    }
    part
}

#[test]
fn invalid_tick_counts_are_refused() {
    let good = part(7, &[0, 1, 2 << 1, 3, 5, 0]);
    let contact = Contact::default();
    let of = |supply| TickCounts::Tick { at: 0, first: true, last: true, contact, supply, demand: vec![] };
    assert_eq!(read_tick_counts(&good, 2), Ok(vec![of(vec![count(2, 3, 5)])]));
    for (tag, first, last) in [(1, false, false), (3, true, false), (5, false, true)] {
        let read = read_tick_counts(&part(tag, &[0, 0, 0]), 2);
        let (supply, demand) = (vec![], vec![]);
        assert_eq!(read, Ok(vec![TickCounts::Tick { at: 0, first, last, contact, supply, demand }]));
    }
    for tag in [2, 4, 6, 8, 9, 255] {
        assert_eq!(invalid(read_tick_counts(&part(tag, &[0, 0, 0]), 2)), "a tag", "{tag}");
    }
    assert!(read_tick_counts(&part(0, &[1 << 60]), 2).is_ok());
    assert_eq!(invalid(read_tick_counts(&part(0, &[(1 << 60) + 1]), 2)), "a run of ticks");
    assert!(read_tick_counts(&part(7, &[62, 0, 0]), 2).is_ok());
    assert_eq!(invalid(read_tick_counts(&part(7, &[63, 0, 0]), 2)), "a shift");
    // Places must ascend and have products of the table, and counts must not be 0.
    assert_eq!(invalid(read_tick_counts(&part(7, &[0, 1, 2 << 1, 4, 5, 0]), 2)), "a row's place");
    assert!(read_tick_counts(&part(7, &[0, 1, 2 << 1, 4, 5, 0]), 3).is_ok());
    assert!(read_tick_counts(&part(7, &[0, 1, 2 << 1, u64::MAX, 5, 0]), 64).is_ok());
    assert_eq!(invalid(read_tick_counts(&part(7, &[0, 1, 2 << 1, 0, 5, 0]), 2)), "a row's place");
    assert_eq!(invalid(read_tick_counts(&part(7, &[0, 1, 2 << 1 | 1, 5, 0]), 2)), "a row's place");
    assert_eq!(invalid(read_tick_counts(&part(7, &[0, 2, 2 << 1, 3, 5, 1, 5, 0]), 2)), "a row's place");
    assert_eq!(invalid(read_tick_counts(&part(7, &[0, 2, 2 << 1, 3, 5, 0, 2, 5, 0]), 2)), "a row's place");
    assert_eq!(invalid(read_tick_counts(&part(7, &[0, 1, 2 << 1, 3, 0, 0]), 2)), "an empty row");
    assert_eq!(invalid(read_tick_counts(&part(7, &[0, 1, 2 << 1, 3, 1 << 32, 0]), 2)), "a row's count");
    // A cell has 63 bits, of which the shift gives the low ones.
    let far = |shift: u64, step: u64| read_tick_counts(&part(7, &[shift, 1, step << 1, 3, 5, 0]), 2);
    assert_eq!(far(2, 1), Ok(vec![of(vec![count(0b111, 3, 5)])]));
    assert_eq!(far(0, (1 << 63) - 1), Ok(vec![of(vec![count((1 << 63) - 1, 3, 5)])]));
    assert_eq!(invalid(far(1, 1 << 62)), "a cell");
    assert_eq!(far(1, (1 << 62) - 1), Ok(vec![of(vec![count((1 << 63) - 1, 3, 5)])]));
    assert_eq!(invalid(far(62, 2)), "a cell");
    assert_eq!(far(62, 1), Ok(vec![of(vec![count((1 << 63) - 1, 3, 5)])]));
}

prop_compose! {
    fn contact()(in_touch in 0..3_u32, lost in 0..3_u32) -> Contact {
        Contact { in_touch, lost }
    }
}

prop_compose! {
    fn rows()(steps in prop::collection::btree_map((0..1_u64 << 40, 1..4_u64), 1..u32::MAX, 0..30)) -> Vec<Count> {
        steps.into_iter().map(|((number, products), entities)| count(number << 20 | 0xf_ffff, products, entities)).collect()
    }
}

proptest! {
    #[test]
    fn tick_counts_read_back(ticks in prop::collection::vec((rows(), rows(), contact()), 0..6), from in -1_000_000_000_000..2_000_000_000_000_i64) {
        let mut writer = TickCountsWriter::default();
        let mut expected = Vec::new();
        for (number, (supply, demand, contact)) in (0..).zip(ticks) {
            let at = from + number * 5_000;
            writer.add_tick(at, 5_000, contact, supply.iter().copied(), demand.iter().copied());
            if supply.is_empty() && demand.is_empty() && contact == Contact::default() {
                match expected.last_mut() {
                    Some(TickCounts::Empty { to, .. }) => *to = at,
                    _ => expected.push(TickCounts::Empty { from: at, to: at }),
                }
            } else {
                expected.push(TickCounts::Tick { at, first: true, last: true, contact, supply, demand });
            }
        }
        prop_assert_eq!(read(writer), expected);
    }

    #[test]
    fn any_bytes_are_tick_counts_or_an_error(bytes in any::<Vec<u8>>(), small in prop::collection::vec(0..8_u8, 0..40), products in 0..=64_usize) {
        let _ = read_tick_counts(&bytes, products);
        if let Ok(ticks) = read_tick_counts(&small, products) {
            prop_assert!(small.is_empty() || !ticks.is_empty());
        }
    }
}
