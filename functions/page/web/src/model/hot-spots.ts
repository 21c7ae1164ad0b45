/** The places where prices are above the base price: connected hexagons, the dearest first. */
import type { Row } from "../api.ts";

export interface HotSpot {
  /** Its cell with the highest multiplier. */
  top: Row;
  /** Number of its cells. */
  size: number;
}

export function hotSpots(cells: ReadonlyMap<string, Row>, neighboursOf: (cell: string) => string[]): HotSpot[] {
  const hot = new Set<string>();
  for (const row of cells.values()) if (row.multiplier > 1) hot.add(row.cell);
  const spots: HotSpot[] = [];
  for (const first of hot) {
    hot.delete(first);
    const members = [first];
    for (const member of members) {
      for (const neighbour of neighboursOf(member)) if (hot.delete(neighbour)) members.push(neighbour);
    }
    const rows = members.flatMap((cell) => cells.get(cell) ?? []);
    const top = rows.reduce((best, row) => (isDearer(row, best) ? row : best));
    spots.push({ top, size: rows.length });
  }
  return spots.sort(
    (a, b) => b.top.multiplier - a.top.multiplier || b.size - a.size || (a.top.cell < b.top.cell ? -1 : 1),
  );
}

/** Whether a cell stands for its spot rather than another: of equal multipliers the one with more riders. */
function isDearer(row: Row, other: Row): boolean {
  return row.multiplier - other.multiplier > 0 || (row.multiplier === other.multiplier && row.demand > other.demand);
}
