/** The rule of prices, read from the contract (§3) apart from the page's own. */
import { cellToLatLng, gridRing } from "h3-js";
import type { Server } from "./server.ts";

export interface SurgeMap {
  version: number;
  as_of: string;
  cells: { cell: string; product: string; multiplier: number; demand: number; supply: number }[];
}

export interface Explained {
  counts: { demand: number; supply: number }[];
  pressure: number;
  raw: number;
}

/** Explains a price by the policy's defaults: weights 1, 0.35, 0.12; prior 2; elasticities 0.6 and 1.2; at most 4 × 5. */
export function explain(cell: string, map: SurgeMap): Explained {
  const rows = new Map(map.cells.map((row) => [row.cell, row]));
  const counts = [0, 1, 2].map((distance) => {
    const ring = distance === 0 ? [cell] : gridRing(cell, distance);
    const total = (member: "demand" | "supply") =>
      ring.reduce((sum, other) => sum + (rows.get(other)?.[member] ?? 0), 0);
    return { demand: total("demand"), supply: total("supply") };
  });
  const weigh = (member: "demand" | "supply") =>
    1 * (counts[0]?.[member] ?? 0) + 0.35 * (counts[1]?.[member] ?? 0) + 0.12 * (counts[2]?.[member] ?? 0);
  const pressure = (weigh("demand") + 2) / (weigh("supply") + 2);
  return { counts, pressure, raw: Math.min(20, Math.max(1, pressure ** (1 / 1.8))) };
}

export async function priceOf(server: Server, cell: string): Promise<number> {
  const [lat, lng] = cellToLatLng(cell);
  return (await server.json<{ multiplier: number }>(`/v1/price?lat=${lat}&lng=${lng}`)).multiplier;
}
