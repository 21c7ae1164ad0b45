/** Points and polygons in a plane. */
import type { Point } from "./grid.ts";

export type Extent = [west: number, south: number, east: number, north: number];

export function extentOf(points: Iterable<readonly number[]>): Extent {
  const extent: Extent = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x = 0, y = 0] of points) {
    extent[0] = Math.min(extent[0], x);
    extent[1] = Math.min(extent[1], y);
    extent[2] = Math.max(extent[2], x);
    extent[3] = Math.max(extent[3], y);
  }
  return extent;
}

export function isWithin([west, south, east, north]: Extent, [x = 0, y = 0]: readonly number[]): boolean {
  return x >= west && x <= east && y >= south && y <= north;
}

/** Whether a point lies in a polygon of several rings, by the even-odd rule. */
export function contains(
  rings: readonly (readonly (readonly number[])[])[],
  [x = 0, y = 0]: readonly number[],
): boolean {
  let isInside = false;
  for (const ring of rings) {
    let [px = 0, py = 0] = ring.at(-1) ?? [];
    for (const [qx = 0, qy = 0] of ring) {
      if (qy > y !== py > y && x < ((px - qx) * (y - qy)) / (py - qy) + qx) isInside = !isInside;
      [px, py] = [qx, qy];
    }
  }
  return isInside;
}

/** The square of the distance from a point to the nearest corner. */
export function distanceSquared(rings: readonly Point[][], [x, y]: Point): number {
  let least = Infinity;
  for (const ring of rings) {
    for (const [px, py] of ring) least = Math.min(least, (px - x) ** 2 + (py - y) ** 2);
  }
  return least;
}

/** The area of a ring. */
export function areaOf(ring: readonly Point[]): number {
  let [sum, last] = [0, ring.at(-1)];
  for (const point of ring) {
    if (last !== undefined) sum += last[0] * point[1] - point[0] * last[1];
    last = point;
  }
  return Math.abs(sum) / 2;
}

/** A point well inside a polygon: the middle of its longest chord at half its height. */
export function pointInside(rings: readonly Point[][]): Point {
  const [, south, , north] = extentOf(rings.flat());
  const y = (south + north) / 2;
  const crossings: number[] = [];
  for (const ring of rings) {
    let last = ring.at(-1);
    for (const point of ring) {
      if (last !== undefined && last[1] > y !== point[1] > y) {
        crossings.push(last[0] + ((point[0] - last[0]) * (y - last[1])) / (point[1] - last[1]));
      }
      last = point;
    }
  }
  crossings.sort((a, b) => a - b);
  let [west, east] = [0, 0];
  for (let i = 0; i + 1 < crossings.length; i += 2) {
    const [from = 0, to = 0] = crossings.slice(i, i + 2);
    if (to - from > east - west) [west, east] = [from, to];
  }
  return [(west + east) / 2, y];
}
