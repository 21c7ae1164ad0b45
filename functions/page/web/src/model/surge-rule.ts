/** The rule of prices (CONTRACT §3): from the counts of a cell and its neighbours to the price that balances them. */
import type { Limits, SurgeRule } from "../api.ts";

/** The counts of all cells at one distance from a cell. */
export interface RingCounts {
  demand: number;
  supply: number;
}

export interface Balance {
  /** The counts by distance, from the cell itself outwards. */
  rings: RingCounts[];
  /** Riders and drivers, weighted by distance. */
  demand: number;
  supply: number;
  pressure: number;
  /** The curve's value: the multiplier that balances demand and supply. */
  curve: number;
  /** That value, at least 1 and at most `most`. */
  raw: number;
  most: number;
}

/** The curve's value is lowered to this many times the highest multiplier. */
const RAW_OVER_CAP = 4;
/** Published multipliers are multiples of a step; they move once they are off by this share of it. */
const HYSTERESIS = 0.75;
/** Limits of a policy that gives none. */
const DEFAULT_FLOOR = 1;
const DEFAULT_CAP = 5;

export function balance(rings: RingCounts[], rule: SurgeRule, cityLimits: Limits): Balance {
  const weighted = (counts: (ring: RingCounts) => number) =>
    rule.ring_weights.reduce((sum, weight, k) => sum + weight * counts(rings[k] ?? { demand: 0, supply: 0 }), 0);
  const [demand, supply] = [weighted((ring) => ring.demand), weighted((ring) => ring.supply)];
  const pressure = (demand + rule.prior * rule.balanced_ratio) / (supply + rule.prior);
  const most = RAW_OVER_CAP * Math.max(1, cityLimits.max_multiplier ?? DEFAULT_CAP);
  const value = curve(pressure, rule);
  return { rings, demand, supply, pressure, curve: value, raw: Math.min(Math.max(value, 1), most), most };
}

function curve(pressure: number, rule: SurgeRule): number {
  const ratio = pressure / rule.balanced_ratio;
  switch (rule.curve) {
    case "equilibrium":
      return ratio ** (1 / (rule.demand_elasticity + rule.supply_elasticity));
    case "linear":
      return 1 + rule.slope * (ratio - 1);
    case "exponential":
      return Math.exp(rule.k * (ratio - 1));
    case "table":
      return interpolate(rule.table, pressure);
  }
}

/** Linear between the points, flat outside them. */
function interpolate(points: SurgeRule["table"], at: number): number {
  const next = points.findIndex(([ratio]) => ratio >= at);
  const [end, start] = [points[next] ?? points.at(-1), points[next - 1]];
  if (end === undefined) return 1;
  if (start === undefined || next < 0) return end[1];
  return start[1] + ((end[1] - start[1]) * (at - start[0])) / (end[0] - start[0]);
}

/** The limits in force in a zone of the city: the highest floor and the lowest cap; a floor above a cap yields. */
export function limitsWithin(city: Limits, zone: Limits | undefined): { floor: number; cap: number } {
  const caps = [city.max_multiplier ?? DEFAULT_CAP, zone?.max_multiplier ?? Infinity];
  const floors = [city.min_multiplier ?? DEFAULT_FLOOR, zone?.min_multiplier ?? 0];
  const cap = Math.min(...caps);
  return { floor: Math.min(Math.max(...floors), cap), cap };
}

/** Where a published multiplier goes while the counts stay as they are. */
export type Trend = "rising" | "falling" | "steady" | "at cap" | "at floor" | "held";

export function trend(
  multiplier: number,
  raw: number,
  step: number,
  limits: { floor: number; cap: number },
  held: boolean,
): Trend {
  if (multiplier >= limits.cap && raw > limits.cap) return "at cap";
  if (multiplier <= limits.floor && limits.floor > 1 && raw < limits.floor) return "at floor";
  const off = Math.min(raw, limits.cap) - multiplier;
  if (Math.abs(off) < HYSTERESIS * step) return "steady";
  if (off < 0) return "falling";
  return held ? "held" : "rising";
}
