/** Parts of the page that need no browser. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { SurgeRule } from "../../../functions/page/web/src/api.ts";
import { type Theme, colorOf, inkOn, positionOf } from "../../../functions/page/web/src/map/palette.ts";
import { CityState } from "../../../functions/page/web/src/model/city-state.ts";
import { History } from "../../../functions/page/web/src/model/history.ts";
import { hotSpots } from "../../../functions/page/web/src/model/hot-spots.ts";
import { ServerClock } from "../../../functions/page/web/src/model/server-clock.ts";
import { balance, limitsWithin, trend } from "../../../functions/page/web/src/model/surge-rule.ts";
import { EventParser, type StreamEvent } from "../../../functions/page/web/src/stream/event-stream.ts";

const RULE: SurgeRule = {
  curve: "equilibrium",
  balanced_ratio: 1,
  prior: 2,
  demand_elasticity: 0.6,
  supply_elasticity: 1.2,
  slope: 0.5,
  k: 0.3,
  table: [
    [1, 1],
    [2, 1.5],
    [4, 3],
  ],
  ring_weights: [1, 0.35, 0.12],
  half_life_up_ms: 60_000,
  half_life_down_ms: 240_000,
  step: 0.1,
};
const RINGS = [
  { demand: 10, supply: 1 },
  { demand: 4, supply: 2 },
  { demand: 5, supply: 0 },
];

test("each curve leads from the counts to a multiplier", () => {
  const pressure = (1 * 10 + 0.35 * 4 + 0.12 * 5 + 2) / (1 * 1 + 0.35 * 2 + 0.12 * 0 + 2);
  for (const [curve, expected] of [
    ["equilibrium", pressure ** (1 / 1.8)],
    ["linear", 1 + 0.5 * (pressure - 1)],
    ["exponential", Math.exp(0.3 * (pressure - 1))],
    ["table", 1.5 + (1.5 * (pressure - 2)) / 2],
  ] as const) {
    const found = balance(RINGS, { ...RULE, curve }, {});
    assert.equal(found.pressure, pressure);
    assert.equal(found.raw, expected, curve);
  }
});

test("a table is linear between its points and flat outside them", () => {
  const at = (demand: number) => balance([{ demand, supply: 0 }], { ...RULE, curve: "table", prior: 1 }, {}).curve;
  assert.deepEqual([at(-0.5), at(0), at(0.5), at(1), at(2), at(3), at(9)], [1, 1, 1.25, 1.5, 2.25, 3, 3]);
});

test("a multiplier is at least 1 and at most four times the cap", () => {
  assert.equal(balance([{ demand: 0, supply: 50 }], RULE, {}).raw, 1);
  assert.equal(balance([{ demand: 90_000, supply: 0 }], RULE, { max_multiplier: 3 }).raw, 12);
  assert.equal(balance([{ demand: 90_000, supply: 0 }], RULE, { max_multiplier: 0.5 }).raw, 4);
});

test("the lowest cap and the highest floor are in force, and a floor above a cap yields", () => {
  assert.deepEqual(limitsWithin({}, undefined), { floor: 1, cap: 5 });
  assert.deepEqual(limitsWithin({ max_multiplier: 3 }, { max_multiplier: 4, min_multiplier: 1.2 }), {
    floor: 1.2,
    cap: 3,
  });
  assert.deepEqual(limitsWithin({ min_multiplier: 2 }, { max_multiplier: 1.5 }), { floor: 1.5, cap: 1.5 });
});

test("a trend is where the published multiplier goes", () => {
  const limits = { floor: 1, cap: 5 };
  assert.equal(trend(5, 8, 0.1, limits, false), "at cap");
  assert.equal(trend(2, 3, 0.1, limits, false), "rising");
  assert.equal(trend(2, 3, 0.1, limits, true), "held");
  assert.equal(trend(3, 2, 0.1, limits, true), "falling");
  assert.equal(trend(2, 2.07, 0.1, limits, false), "steady");
  assert.equal(trend(1.2, 1, 0.1, { floor: 1.2, cap: 5 }, false), "at floor");
});

test("events are read from any pieces of a stream", () => {
  const text =
    'retry: 1000\r\n\r\n: comment\nid: 1.nyc.7\nevent: surge_changed\ndata: {"a":\ndata: 1}\n\nevent: pulse\ndata: {}\n\ndata: lost';
  const expected = [
    { id: "1.nyc.7", type: "surge_changed", data: '{"a":\n1}' },
    { id: "1.nyc.7", type: "pulse", data: "{}" },
  ];
  for (let size = 1; size <= text.length; size += 1) {
    const events: StreamEvent[] = [];
    const parser = new EventParser((event) => events.push(event));
    for (let i = 0; i < text.length; i += size) parser.push(text.slice(i, i + size));
    assert.deepEqual(events, expected, `pieces of ${size}`);
  }
});

const header = {
  city: "nyc",
  bounds: 1,
  as_of: "2026-02-25T06:13:20.000Z",
  mode: "fresh",
  feed: "ok",
  completeness: 1,
} as const;
const row = (cell: string, multiplier: number, demand = 1) => ({ cell, multiplier, demand, supply: 0 });

function cityOf(...products: string[]): CityState {
  const boundary = { type: "Polygon", coordinates: [] } as const;
  return new CityState({
    city: "nyc",
    name: "New York",
    products,
    resolution: 8,
    boundary: { ...boundary, coordinates: [] },
    timezone: "UTC",
    zones: [],
    tick_ms: 5_000,
    source: { kind: "live", started_at: header.as_of },
    surge: RULE,
    limits: {},
  });
}

test("changes apply to the version they are from; what is old is dropped, and a gap is noticed", () => {
  const state = cityOf("standard");
  state.replace(
    {
      ...header,
      version: 7,
      age_ms: 0,
      cells: [
        { ...row("a", 1), product: "standard" },
        { ...row("b", 2), product: "standard" },
      ],
    },
    0,
  );
  const change = { ...header, product: "standard", now: header.as_of, cells: [row("a", 1.5)], gone: ["b"] };
  assert.equal(state.apply({ ...change, from: 6, version: 7 }), "old");
  assert.equal(state.apply({ ...change, from: 8, version: 9 }), "gap");
  assert.equal(state.apply({ ...change, from: 7, version: 8 }), "applied");
  assert.deepEqual([...(state.products.get("standard")?.cells.values() ?? [])], [row("a", 1.5)]);
  assert.equal(state.apply({ ...change, from: 8, version: 8, bounds: 2, cells: [row("a", 1.2)], gone: [] }), "applied");
  assert.equal(state.products.get("standard")?.cells.get("a")?.multiplier, 1.2);
});

test("each product has versions of its own, and a map replaces all of them", () => {
  const state = cityOf("standard", "xl");
  state.replace({ ...header, version: 1, age_ms: 0, cells: [{ ...row("a", 2), product: "xl" }] }, 0);
  const change = { ...header, now: header.as_of, from: 1, version: 2, gone: [] };
  assert.equal(state.apply({ ...change, product: "xl", cells: [row("a", 3)] }), "applied");
  assert.equal(state.apply({ ...change, product: "standard", cells: [row("a", 1.1)] }), "applied");
  assert.equal(state.products.get("xl")?.cells.get("a")?.multiplier, 3);
  state.replace({ ...header, version: 9, age_ms: 0, cells: [] }, 0);
  assert.equal(state.products.get("xl")?.cells.size, 0);
});

test("a history begins at the base price, holds an hour, and ends now", () => {
  const history = new History();
  history.began(0);
  history.record(10_000, row("a", 2));
  history.record(20_000, row("a", 3));
  history.recordGone(30_000, "a");
  assert.deepEqual(history.series("a", 40_000).multipliers, [1, 2, 3, 1, 1]);
  assert.deepEqual(history.series("a", 40_000).times, [0, 10, 20, 30, 40]);
  assert.deepEqual(history.series("b", 40_000).multipliers, [1, 1]);
  for (let second = 60; second < 8_000; second += 5) history.record(second * 1_000, row("a", 1 + (second % 2)));
  const { times } = history.series("a", 7_995_000);
  assert.equal(times[0], 7_995 - 3_600);
  assert.equal(times.length <= 722, true);
  assert.deepEqual(
    times.toSorted((a, b) => a - b),
    times,
  );
});

test("busy places are connected cells, named by the dearest", () => {
  const line = "abcdefgh";
  const neighbours = (cell: string) =>
    [line[line.indexOf(cell) - 1], line[line.indexOf(cell) + 1]].filter((other) => other !== undefined);
  const prices = { a: 1.1, b: 1.3, c: 1, d: 2, e: 1, f: 1.3, g: 1.2, h: 1.1 };
  const cells = new Map(Object.entries(prices).map(([cell, multiplier]) => [cell, row(cell, multiplier)]));
  const found = hotSpots(cells, neighbours).map(({ top, size }) => [top.cell, size]);
  assert.deepEqual(found, [
    ["d", 1],
    ["f", 3],
    ["b", 2],
  ]);
});

test("the clock follows the server's, and goes on at its speed while that is silent", () => {
  const clock = new ServerClock();
  clock.observe(100_000, 1_000);
  clock.observe(110_000, 2_000);
  assert.equal(clock.nowMs(2_500), 110_000);
  assert.equal(clock.nowMs(5_500), 130_000);
  clock.observe(50_000, 6_500);
  assert.equal(clock.nowMs(6_500), 50_000);
});

test("text on a multiplier's colour has enough contrast, and colours are in order of lightness", () => {
  const luminance = (color: string) => {
    const channels = color.startsWith("#")
      ? [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16))
      : (color.match(/\d+/g) ?? []).map(Number);
    const [red = 0, green = 0, blue = 0] = channels.map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  for (const theme of ["light", "dark"] satisfies Theme[]) {
    let last = luminance(colorOf(1, theme));
    for (let multiplier = 1.05; multiplier <= 5; multiplier += 0.05) {
      const [ground, ink] = [luminance(colorOf(multiplier, theme)), luminance(inkOn(multiplier, theme))];
      const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
      assert.ok(contrast >= 4.5, `${theme} ${multiplier}: ${contrast}`);
      assert.ok(theme === "light" ? ground <= last : ground >= last, `${theme} ${multiplier}`);
      last = ground;
    }
  }
  assert.deepEqual([positionOf(1), positionOf(5), positionOf(9)], [0, 1, 1]);
});
