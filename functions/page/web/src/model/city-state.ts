/** One city as its map and the changes since show it. */
import type { City, Feed, Mode, Row, SurgeChanged, SurgeMap } from "../api.ts";
import { History } from "./history.ts";

/** The prices of one product. */
export class ProductState {
  version = 0;
  bounds = 0;
  readonly cells = new Map<string, Row>();
  readonly history = new History();
  /** The highest multiplier so far, and its cell. */
  peak = 1;
  peakCell = "";

  /** Takes the rows and the end of cells, as of `atMs`. */
  apply(rows: Iterable<Row>, gone: Iterable<string>, atMs: number): void {
    this.history.began(atMs);
    for (const row of rows) {
      const last = this.cells.get(row.cell);
      this.cells.set(row.cell, row);
      if (row.multiplier > this.peak) [this.peak, this.peakCell] = [row.multiplier, row.cell];
      if (last === undefined || !isSame(last, row)) this.history.record(atMs, row);
    }
    for (const cell of gone) {
      if (this.cells.delete(cell)) this.history.recordGone(atMs, cell);
    }
  }
}

function isSame(one: Row, other: Row): boolean {
  return one.multiplier === other.multiplier && one.demand === other.demand && one.supply === other.supply;
}

/** What became of an event: `gap` if changes before it are missing. */
export type Outcome = "applied" | "old" | "gap";

export class CityState {
  readonly products: Map<string, ProductState>;
  /** The tick of the counts, in milliseconds since the epoch; 0 before the first. */
  asOfMs = 0;
  /** When the prices became what they are: at that tick, or when it had become too old. */
  pricedAtMs = 0;
  mode: Mode = "static";
  feed: Feed = "ok";
  completeness = 0;

  constructor(public city: City) {
    this.products = new Map(city.products.map((product) => [product, new ProductState()]));
  }

  /** Takes a whole map, as of `nowMs`, in place of what is known. */
  replace(map: SurgeMap, nowMs: number): void {
    this.takeHeader(map);
    const isFallback = map.mode === "static" || map.mode === "degraded";
    this.pricedAtMs = isFallback && map.as_of !== null ? nowMs : this.asOfMs;
    const rows = new Map<string, Row[]>(this.city.products.map((product) => [product, []]));
    for (const { product, ...row } of map.cells) rows.get(product)?.push(row);
    for (const [product, state] of this.products) {
      const listed = rows.get(product) ?? [];
      const isListed = new Set(listed.map((row) => row.cell));
      const gone = [...state.cells.keys()].filter((cell) => !isListed.has(cell));
      if (map.as_of !== null) state.apply(listed, gone, this.pricedAtMs);
      state.version = map.version;
      state.bounds = map.bounds;
    }
  }

  /** Takes the changes of one tick, or of the bounds of a tick. */
  apply(change: SurgeChanged): Outcome {
    const state = this.products.get(change.product);
    if (state === undefined) return "gap";
    const isNewer =
      change.version > state.version || (change.version === state.version && change.bounds > state.bounds);
    if (!isNewer) return "old";
    if (change.from !== state.version) return "gap";
    this.takeHeader(change);
    this.pricedAtMs = this.asOfMs;
    state.apply(change.cells, change.gone, this.pricedAtMs);
    state.version = change.version;
    state.bounds = change.bounds;
    return "applied";
  }

  private takeHeader(header: SurgeMap | SurgeChanged): void {
    this.asOfMs = header.as_of === null ? 0 : Date.parse(header.as_of);
    this.mode = header.mode;
    this.feed = header.feed;
    this.completeness = header.completeness;
  }
}
