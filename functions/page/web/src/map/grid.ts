/** H3 cells in the map's projection, each worked out once. */
import { cellToBoundary, cellToLatLng, cellsToMultiPolygon, gridDisk, latLngToCell } from "h3-js";
import { fromLonLat, toLonLat } from "ol/proj.js";

/** A point in the map's projection (EPSG:3857), in metres. */
export type Point = [x: number, y: number];

export interface Hexagon {
  center: Point;
  /** Its corners; a cell near an edge of the icosahedron has more than six. */
  corners: Point[];
}

const hexagons = new Map<string, Hexagon>();
const neighbours = new Map<string, string[]>();

export const project = (lngLat: number[]): Point => fromLonLat(lngLat) as Point;

export function hexagon(cell: string): Hexagon {
  let known = hexagons.get(cell);
  if (known === undefined) {
    const corners = cellToBoundary(cell, true).slice(0, -1).map(project);
    const mean = (axis: 0 | 1) => corners.reduce((sum, corner) => sum + corner[axis], 0) / corners.length;
    hexagons.set(cell, (known = { center: [mean(0), mean(1)], corners }));
  }
  return known;
}

export function neighboursOf(cell: string): string[] {
  let known = neighbours.get(cell);
  if (known === undefined) neighbours.set(cell, (known = gridDisk(cell, 1).filter((other) => other !== cell)));
  return known;
}

/** The cells at each distance up to `most`, from the cell itself outwards. */
export function ringsAround(cell: string, most: number): string[][] {
  const rings = [[cell]];
  const seen = new Set([cell]);
  for (let distance = 1; distance <= most; distance += 1) {
    const ring = gridDisk(cell, distance).filter((other) => !seen.has(other));
    ring.forEach((other) => seen.add(other));
    rings.push(ring);
  }
  return rings;
}

/** The outline of all cells up to a distance. */
export function outlineAround(cell: string, distance: number): Point[][] {
  return cellsToMultiPolygon(gridDisk(cell, distance), true).flatMap((polygon) =>
    polygon.map((ring) => ring.map(project)),
  );
}

export function cellAt(point: number[], resolution: number): string {
  const [lng = 0, lat = 0] = toLonLat(point);
  return latLngToCell(lat, lng, resolution);
}

export function lngLatOf(cell: string): [lng: number, lat: number] {
  const [lat, lng] = cellToLatLng(cell);
  return [lng, lat];
}

/** The neighbour in a direction, in degrees from east, counted to the north. */
export function neighbourTowards(cell: string, degrees: number): string {
  const { center } = hexagon(cell);
  const nearness = (other: string) => {
    const to = hexagon(other).center;
    return Math.cos(Math.atan2(to[1] - center[1], to[0] - center[0]) - (degrees * Math.PI) / 180);
  };
  return neighboursOf(cell).reduce((best, other) => (nearness(other) > nearness(best) ? other : best));
}
