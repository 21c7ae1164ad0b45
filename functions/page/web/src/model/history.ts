/** What happened in each cell since the page opened, for an hour at most: a point for each change. */
import type { Row } from "../api.ts";

const KEPT_MS = 3_600_000;

/** Points of one cell, oldest first: times in seconds, and the values that hold from then on. */
export interface Series {
  times: number[];
  multipliers: number[];
  demands: number[];
  supplies: number[];
}

const emptySeries = (): Series => ({ times: [], multipliers: [], demands: [], supplies: [] });

export class History {
  private readonly cells = new Map<string, Series>();
  private beganS: number | undefined;

  /** Records that a cell has these values from `atMs` on. */
  record(atMs: number, { cell, multiplier, demand, supply }: Row): void {
    this.began(atMs);
    let series = this.cells.get(cell);
    if (series === undefined) this.cells.set(cell, (series = emptySeries()));
    push(series, atMs / 1_000, multiplier, demand, supply);
    prune(series, (atMs - KEPT_MS) / 1_000);
  }

  /** Records that a cell is not reported from `atMs` on: it has the base price. */
  recordGone(atMs: number, cell: string): void {
    if (this.cells.has(cell)) this.record(atMs, { cell, multiplier: 1, demand: 0, supply: 0 });
  }

  /** The history begins at the first tick that the page sees. */
  began(atMs: number): void {
    this.beganS ??= atMs / 1_000;
  }

  /** A cell's points from the beginning, or an hour ago, up to `nowMs`. */
  series(cell: string, nowMs: number): Series {
    const [nowS, startS] = [nowMs / 1_000, Math.max(this.beganS ?? 0, (nowMs - KEPT_MS) / 1_000)];
    const known = this.cells.get(cell) ?? emptySeries();
    const series = emptySeries();
    if ((known.times[0] ?? Infinity) > startS) push(series, startS, 1, 0, 0);
    for (const [i, time] of known.times.entries()) {
      const isReplaced = (known.times[i + 1] ?? Infinity) <= startS;
      if (!isReplaced) copy(series, Math.max(time, startS), known, i);
    }
    const last = series.times.length - 1;
    if ((series.times[last] ?? nowS) < nowS) copy(series, nowS, series, last);
    return series;
  }
}

function push(series: Series, time: number, multiplier: number, demand: number, supply: number): void {
  series.times.push(time);
  series.multipliers.push(multiplier);
  series.demands.push(demand);
  series.supplies.push(supply);
}

function copy(series: Series, time: number, from: Series, i: number): void {
  push(series, time, from.multipliers[i] ?? 1, from.demands[i] ?? 0, from.supplies[i] ?? 0);
}

/** Drops points that a later one replaces at or before `startS`, many at a time. */
function prune(series: Series, startS: number): void {
  if ((series.times[64] ?? Infinity) > startS) return;
  const replaced = series.times.findIndex((time) => time > startS) - 1;
  for (const values of Object.values(series) as number[][]) values.splice(0, replaced);
}
