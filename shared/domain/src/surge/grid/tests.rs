//! Prices of small maps computed by hand, and the bits of a few numbers (CONTRACT §3).
//!
//! The bits were computed independently of this program: every sum and product rounded on its own, and every power from
//! 80 digits. With a fused multiply-add in the step that the test names, the last ones would differ. One power is that
//! of libm, which is one unit in the last place above the exact one.

use serde_json::{Value, json};

use super::*;
use crate::policy::Published;
use crate::surge::feed_guard::Feed;
use crate::wire::Reader;

/// A cell in New York.
const HERE: u64 = 0x0882_a100_d63f_ffff;

/// The first cell at this distance from [`HERE`].
fn at_ring(ring: u32) -> u64 {
    let here = Cell(HERE).h3().unwrap();
    let disk: Vec<(CellIndex, u32)> = here.grid_disk_distances(ring);
    disk.into_iter().filter(|(_, at)| *at == ring).map(|(cell, _)| u64::from(cell)).min().unwrap()
}

fn policy(surge: &Value, changes: Value) -> Policy {
    let mut document = json!({
        "city": "nyc",
        "currency": "USD",
        "boundary": {"type": "Polygon", "coordinates": [[[-75, 40], [-73, 40], [-73, 42], [-75, 42], [-75, 40]]]},
        "products": [{"id": "standard"}],
        "surge": surge,
    });
    let Value::Object(changes) = changes else { panic!("an object of changes") };
    document.as_object_mut().unwrap().extend(changes);
    Policy::from_json(&document).unwrap()
}

fn defaults() -> Policy {
    policy(&json!({"half_life_ms": 30_000}), json!({}))
}

/// A policy by which every evaluated cell has this raw multiplier, and `m` reaches it in one tick.
fn flat(multiplier: f64, step: f64) -> Policy {
    let table = json!([[1.0, multiplier]]);
    policy(&json!({"curve": "table", "table": table, "half_life_ms": 1, "step": step}), json!({}))
}

fn row(grid: &mut Grid, version: u64, cell: u64) -> Option<(u32, u32, u16)> {
    let rows = grid.price(version, Feed::Ok, &mut Moved::default());
    let row = rows.iter().find(|row| row.cell.0 == cell)?;
    Some((row.demand, row.supply, row.published.hundredths()))
}

/// The bits of the smoothed multiplier of the one product in a cell.
fn m(grid: &mut Grid, cell: u64) -> u64 {
    let mut bytes = Vec::new();
    grid.write(&mut bytes);
    let mut input = Reader::new(&bytes);
    for _ in 0..input.varint_u64("cells").unwrap() {
        let (at, m, _) = (input.u64_le("a").unwrap(), input.u64_le("b").unwrap(), input.u64_le("c").unwrap());
        for _ in 0..3 {
            input.varint_u64("d").unwrap();
        }
        if at == cell {
            return m;
        }
    }
    panic!("{cell:x} is not active")
}

/// The bits of `m` in [`HERE`] after each of three ticks, with these counts on the rings around it.
fn bits(demand: [i64; 3], supply: [i64; 3]) -> [u64; 3] {
    let mut grid = Grid::new(&defaults());
    for (ring, cell) in [HERE, at_ring(1), at_ring(2)].into_iter().enumerate() {
        grid.count(cell, 1, Side::Demand, demand[ring]);
        grid.count(cell, 1, Side::Supply, supply[ring]);
    }
    [1, 2, 3].map(|version| {
        grid.price(version, Feed::Ok, &mut Moved::default());
        m(&mut grid, HERE)
    })
}

#[test]
fn sums_are_added_in_ring_order_unfused() {
    // D = 1 + 0.35·1 + 0.12·30 = 4.949999999999999, S = 0.35·3 + 0.12·4 = 1.5299999999999998.
    // libm's power of their pressure is 0x3ff74fbdd320812c, although 0x3ff74fbdd320812b is nearer.
    let expected = [0x3ff0_cc35_9b0f_2303, 0x3ff1_8223_a858_cdde, 0x3ff2_2438_6bb6_0434];
    assert_eq!(bits([1, 1, 30], [0, 3, 4]), expected);
}

#[test]
fn smoothing_over_time_is_unfused() {
    let expected = [0x3ff0_bf17_99e1_8db8, 0x3ff1_6956_02d1_6ba2, 0x3ff2_0101_862d_6838];
    assert_eq!(bits([1, 2, 25], [0, 3, 4]), expected);
}

#[test]
fn only_two_rings_around_a_cell_affect_it() {
    let mut grid = Grid::new(&defaults());
    grid.count(HERE, 1, Side::Demand, 3);
    grid.count(at_ring(1), 1, Side::Supply, 2);
    let rows = grid.price(1, Feed::Ok, &mut Moved::default());
    // Both disks of 19 cells, one step apart, have 24 cells together.
    assert_eq!(rows.len(), 24);
    assert!(rows.iter().all(|row| row.cell.0 != at_ring(3) || row.demand + row.supply == 0));
    let of = |cell| rows.iter().find(|row| row.cell.0 == cell).map(|row| (row.demand, row.supply));
    assert_eq!(of(HERE), Some((3, 0)));
    assert_eq!(of(at_ring(1)), Some((0, 2)));
    assert_eq!(of(at_ring(2)), Some((0, 0)));
}

#[test]
fn published_moves_in_whole_steps_at_three_quarters_of_one() {
    for (raw, step, published) in [
        (1.0749, 0.1, 100),
        (1.075, 0.1, 110),
        (1.1499, 0.1, 110),
        (1.2499, 0.1, 120),
        (1.25, 0.1, 130),
        (1.1874, 0.25, 100),
        (1.1875, 0.25, 125),
        (1.5, 0.25, 150),
        (1.0075, 0.01, 101),
        (1.74, 1.0, 100),
        (1.76, 1.0, 200),
    ] {
        let mut grid = Grid::new(&flat(raw, step));
        grid.count(HERE, 1, Side::Demand, 1);
        assert_eq!(row(&mut grid, 1, HERE), Some((1, 0, published)), "{raw} {step}");
    }
}

#[test]
fn published_falls_as_it_rises() {
    let mut old = Grid::new(&flat(2.0, 0.1));
    old.count(HERE, 1, Side::Demand, 1);
    assert_eq!(row(&mut old, 1, HERE), Some((1, 0, 200)));
    for (raw, published) in [(1.93, 200), (1.925, 190), (1.92, 190), (2.07, 200), (2.08, 210)] {
        let mut grid = Grid::new(&flat(raw, 0.1));
        grid.inherit(&old);
        grid.count(HERE, 1, Side::Demand, 1);
        assert_eq!(row(&mut grid, 2, HERE), Some((1, 0, published)), "{raw}");
    }
}

#[test]
fn limits_do_not_feed_back_into_the_published_multiplier() {
    let limited = |min: f64, max: f64| {
        let surge = json!({"curve": "table", "table": [[1.0, 3.0]], "half_life_ms": 1});
        policy(&surge, json!({"limits": {"min_multiplier": min, "max_multiplier": max}}))
    };
    for (min, max, published) in [(1.0, 5.0, 300), (1.0, 2.55, 300), (3.5, 5.0, 300), (2.0, 1.5, 180)] {
        let mut grid = Grid::new(&limited(min, max));
        grid.count(HERE, 1, Side::Demand, 1);
        let mut moved = Moved::default();
        grid.price(1, Feed::Ok, &mut moved);
        assert_eq!(m(&mut grid, HERE), 3.0_f64.min(1.2 * max).to_bits());
        let change =
            moved.changes.iter().find(|change| change.row.cell.0 == HERE).map(|change| change.row.published);
        assert_eq!(change.map(Published::hundredths), Some(published), "{min} {max}");
        assert_eq!(row(&mut grid, 2, HERE), Some((1, 0, published)));
    }
}

#[test]
fn no_cell_goes_beyond_the_citys_cap_by_more_than_a_fifth() {
    let surge = json!({"curve": "exponential", "half_life_ms": 1});
    for (cap, bound) in [(5.0, 6.0), (0.8, 1.2)] {
        let mut grid = Grid::new(&policy(&surge, json!({"limits": {"max_multiplier": cap}})));
        grid.count(HERE, 1, Side::Demand, 1_000);
        grid.price(1, Feed::Ok, &mut Moved::default());
        assert_eq!(m(&mut grid, HERE), f64::to_bits(bound), "{cap}");
    }
}

#[test]
fn a_multiplier_rises_by_one_half_life_and_falls_by_the_other() {
    let surge = json!({"curve": "table", "table": [[1.0, 1.0], [1.5, 3.0]], "ring_weights": [1.0],
        "half_life_up_ms": 5_000, "half_life_down_ms": 10_000});
    let mut grid = Grid::new(&policy(&surge, json!({})));
    grid.count(HERE, 1, Side::Demand, 1);
    let mut seen = Vec::new();
    for version in 1..=4 {
        if version == 3 {
            grid.count(HERE, 1, Side::Supply, 1);
        }
        grid.price(version, Feed::Ok, &mut Moved::default());
        seen.push(f64::from_bits(m(&mut grid, HERE)));
    }
    let down = 1.0 + 1.5 * 0.5_f64.sqrt();
    assert!(
        seen.iter().zip([2.0, 2.5, down, 1.75]).all(|(seen, right)| (seen - right).abs() < 1e-12),
        "{seen:?}"
    );
}

#[test]
fn while_the_feed_is_suspect_multipliers_fall_but_do_not_rise() {
    let mut grid = Grid::new(&flat(2.0, 0.1));
    let other = at_ring(2);
    grid.count(HERE, 1, Side::Demand, 1);
    grid.price(1, Feed::Suspect, &mut Moved::default());
    assert_eq!(m(&mut grid, HERE), 1.0_f64.to_bits(), "a new cell stays at 1.0");
    grid.price(2, Feed::Ok, &mut Moved::default());
    let risen = m(&mut grid, HERE);
    assert!(f64::from_bits(risen) > 1.9);
    let surge = json!({"curve": "table", "table": [[1.0, 1.0]], "half_life_ms": 1});
    let mut lower = Grid::new(&policy(&surge, json!({})));
    lower.inherit(&grid);
    lower.count(HERE, 1, Side::Demand, 1);
    assert_eq!(row(&mut lower, 3, HERE).map(|(.., multiplier)| multiplier), Some(100));
    assert_eq!(lower.price(4, Feed::Suspect, &mut Moved::default()).len(), 19);
    assert_eq!(m(&mut lower, HERE), 1.0_f64.to_bits());
    assert!(lower.price(5, Feed::Suspect, &mut Moved::default()).iter().any(|row| row.cell.0 == other));
}

#[test]
fn an_empty_cell_is_reported_until_its_multiplier_is_one_and_then_forgotten() {
    let mut grid = Grid::new(&policy(&json!({"half_life_ms": 5_000}), json!({})));
    // r = 6, so the raw multiplier is 2.706: m = 1.85, then, without demand, 1.43, 1.21, 1.11, 1.05, 1.03, 1.01.
    grid.count(HERE, 1, Side::Demand, 10);
    assert!(!grid.is_quiet());
    assert_eq!(row(&mut grid, 1, HERE), Some((10, 0, 190)));
    grid.count(HERE, 1, Side::Demand, -10);
    for (version, reported) in [(2, 140), (3, 120), (4, 110), (5, 110), (6, 110)] {
        assert_eq!(row(&mut grid, version, HERE), Some((0, 0, reported)), "{version}");
        assert!(!grid.is_quiet());
    }
    let mut moved = Moved::default();
    assert_eq!(grid.price(7, Feed::Ok, &mut moved), []);
    assert!(grid.is_quiet());
    let here = moved.changes.iter().find(|change| change.row.cell.0 == HERE).unwrap();
    assert_eq!((here.before, here.row.published, here.row.demand), (110, Published::ONE, 0));
    grid.count(HERE, 1, Side::Demand, 10);
    assert_eq!(row(&mut grid, 8, HERE), Some((10, 0, 190)), "as at the first tick");
}

#[test]
fn rows_are_ordered_by_product_name_and_cell_and_products_are_separate() {
    let products = json!({"products": [{"id": "xl"}, {"id": "boat"}]});
    let mut grid = Grid::new(&policy(&json!({}), products));
    grid.count(HERE, 0b11, Side::Supply, 2);
    grid.count(at_ring(2), 0b01, Side::Demand, 1);
    grid.count(at_ring(1), 0b10, Side::Demand, 4);
    let rows = grid.price(1, Feed::Ok, &mut Moved::default());
    assert!(rows.is_sorted_by_key(|row| (1 - row.product, row.cell)));
    let of = |product, cell| {
        let row = rows.iter().find(|row| row.product == product && row.cell.0 == cell);
        row.map(|row| (row.demand, row.supply))
    };
    assert_eq!((of(0, HERE), of(1, HERE)), (Some((0, 2)), Some((0, 2))));
    assert_eq!((of(0, at_ring(2)), of(1, at_ring(2))), (Some((1, 0)), Some((0, 0))));
    assert_eq!((of(0, at_ring(1)), of(1, at_ring(1))), (Some((0, 0)), Some((4, 0))));
    // Another cell is activated between active ones.
    grid.count(at_ring(3), 0b01, Side::Demand, 1);
    let rows = grid.price(2, Feed::Ok, &mut Moved::default());
    assert!(rows.is_sorted_by_key(|row| (1 - row.product, row.cell)));
}

#[test]
fn the_multipliers_of_each_product_read_back() {
    let two = policy(&json!({}), json!({"products": [{"id": "standard"}, {"id": "xl"}]}));
    let count = |grid: &mut Grid| {
        grid.count(HERE, 0b01, Side::Demand, 9);
        grid.count(at_ring(2), 0b10, Side::Demand, 4);
    };
    let written = |grid: &mut Grid| {
        let mut bytes = Vec::new();
        grid.write(&mut bytes);
        bytes
    };
    let (mut grid, mut again) = (Grid::new(&two), Grid::new(&two));
    count(&mut grid);
    for version in 1..=5 {
        grid.price(version, Feed::Ok, &mut Moved::default());
    }
    again.read(&mut Reader::new(&written(&mut grid))).unwrap();
    count(&mut again);
    assert_eq!(
        again.price(6, Feed::Ok, &mut Moved::default()),
        grid.price(6, Feed::Ok, &mut Moved::default())
    );
    assert_eq!(written(&mut again), written(&mut grid));
}

#[test]
fn a_cell_of_another_resolution_is_ignored() {
    let mut grid = Grid::new(&defaults());
    let parent = Cell(HERE).h3().unwrap().parent(Resolution::Seven).unwrap();
    for cell in [0, u64::MAX, u64::from(parent)] {
        grid.count(cell, 1, Side::Demand, 1);
    }
    grid.count(HERE, 0, Side::Demand, 1);
    grid.count(HERE, 0b10, Side::Demand, 1);
    assert!(grid.is_quiet());
    assert_eq!(grid.price(1, Feed::Ok, &mut Moved::default()), []);
}

#[test]
fn changes_that_cancel_out_between_ticks_have_no_effect() {
    let mut grid = Grid::new(&defaults());
    grid.count(HERE, 1, Side::Demand, 5);
    grid.count(HERE, 1, Side::Demand, -5);
    assert_eq!(grid.price(1, Feed::Ok, &mut Moved::default()), []);
    grid.count(HERE, 1, Side::Demand, 5);
    grid.count(HERE, 1, Side::Supply, 2);
    grid.count(HERE, 1, Side::Demand, -1);
    assert_eq!(row(&mut grid, 2, HERE).map(|(demand, supply, _)| (demand, supply)), Some((4, 2)));
}

#[test]
fn a_chunk_is_three_levels_coarser_and_changes_with_its_rows() {
    let mut grid = Grid::new(&flat(2.0, 0.1));
    let parent = |cell: u64| Cell(u64::from(Cell(cell).h3().unwrap().parent(Resolution::Five).unwrap()));
    grid.count(HERE, 1, Side::Demand, 1);
    let rows = grid.price(1, Feed::Ok, &mut Moved::default());
    let chunks = grid.chunked(&rows);
    assert!(chunks.is_sorted_by_key(|(chunk, _)| chunk.parent));
    assert!(chunks.iter().all(|(chunk, rows)| rows.iter().all(|row| parent(row.cell.0) == chunk.parent)));
    assert_eq!(chunks.iter().map(|(_, rows)| rows.len()).sum::<usize>(), rows.len());
    assert!(chunks.iter().all(|(chunk, _)| chunk.version == 1));
    let rows = grid.price(2, Feed::Ok, &mut Moved::default());
    assert!(grid.chunked(&rows).iter().all(|(chunk, _)| chunk.version == 1), "no row changed");
    grid.count(HERE, 1, Side::Supply, 1);
    let rows = grid.price(3, Feed::Ok, &mut Moved::default());
    for (chunk, _) in grid.chunked(&rows) {
        // Only the cell itself reports another count.
        assert_eq!(chunk.version, if chunk.parent == parent(HERE) { 3 } else { 1 });
    }
}

#[test]
fn chunks_of_the_coarsest_cells_are_of_resolution_0() {
    for (resolution, level) in [(0, 0), (2, 0), (3, 0), (4, 1)] {
        let place = h3o::LatLng::new(40.75, -73.97).unwrap();
        let cell = place.to_cell(Resolution::try_from(resolution).unwrap());
        let mut grid = Grid::new(&policy(&json!({}), json!({ "resolution": resolution })));
        grid.count(cell.into(), 1, Side::Demand, 1);
        let rows = grid.price(1, Feed::Ok, &mut Moved::default());
        let chunks = grid.chunked(&rows);
        let parent = cell.parent(Resolution::try_from(level).unwrap()).unwrap();
        assert!(chunks.iter().any(|(chunk, _)| chunk.parent.0 == u64::from(parent)), "{resolution}");
    }
}

#[test]
fn a_single_weight_has_no_rings_around_the_cell() {
    let mut grid = Grid::new(&policy(&json!({"ring_weights": [1.0]}), json!({})));
    grid.count(HERE, 1, Side::Demand, 1);
    assert_eq!(grid.price(1, Feed::Ok, &mut Moved::default()).len(), 1);
    let seven = json!([1.0, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05]);
    let mut grid = Grid::new(&policy(&json!({ "ring_weights": seven }), json!({})));
    grid.count(HERE, 1, Side::Demand, 1);
    assert_eq!(grid.price(1, Feed::Ok, &mut Moved::default()).len(), 127);
}
