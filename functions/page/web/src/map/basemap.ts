/**
 * The land under the prices and the names of places, from one TopoJSON file with up to three layers: `areas` (polygons with
 * name `n`, region `r`, kind `k`), `far` (polygons of other land) and `places` (points with name `n` and kind `k`).
 */
import type { Area } from "../api.ts";
import newYorkUrl from "../basemap/new-york.topo.json?url";
import { type Point, hexagon, project } from "./grid.ts";
import { type Extent, areaOf, contains, distanceSquared, extentOf, isWithin, pointInside } from "./polygon.ts";

/** What an area is: land with homes, unless the file says otherwise. */
export type Kind = "land" | "park" | "airport";

export interface LandArea {
  name: string;
  region: string;
  kind: Kind;
  /** The rings of all its polygons; holes follow from the even-odd rule. */
  rings: Point[][];
  extent: Extent;
  /** Where its name is written. */
  label: Point;
}

/** A name on the map that is not an area's. */
export interface PlaceName {
  name: string;
  kind: "borough" | "region" | "town";
  at: Point;
}

export interface Place {
  name: string;
  /** The borough or region; empty where there is none. */
  region: string;
}

interface Geometry {
  type: "Polygon" | "MultiPolygon" | "Point";
  arcs?: number[][] | number[][][];
  coordinates?: [number, number];
  /** Name, region and kind. */
  properties?: { n?: string; r?: string; k?: string | null };
}

export interface Topology {
  arcs: [number, number][][];
  transform: { scale: [number, number]; translate: [number, number] };
  objects: Record<string, { geometries: Geometry[] } | undefined>;
}

/** A cell in the water is named after land that is this near, in metres of the projection. */
const OFF_SHORE = 2_000;
/** A cell beyond the areas is named after a town that is this near. */
const NEAR_TOWN = 6_000;
/** The frame of New York's file, in degrees. */
const NEW_YORK: Extent = [-74.75, 40.25, -73.15, 41.25];

/** Reads the basemap for a city with this boundary: the one that is part of the page, or one beside the city's file. */
export async function loadBasemap(city: string, boundary: Area): Promise<Basemap | undefined> {
  const rings = boundary.type === "Polygon" ? boundary.coordinates : boundary.coordinates.flat();
  const [west, south, east, north] = extentOf(rings.flat());
  const isNewYork = isWithin(NEW_YORK, [(west + east) / 2, (south + north) / 2]);
  const response = await fetch(isNewYork ? newYorkUrl : `/assets/city/${encodeURIComponent(city)}.topo.json`);
  const topology = response.ok ? ((await response.json()) as Topology | null) : null;
  return topology === null ? undefined : new Basemap(topology);
}

export class Basemap {
  readonly areas: LandArea[];
  readonly far: Point[][];
  readonly names: PlaceName[];
  private readonly places = new Map<string, Place>();

  constructor(topology: Topology) {
    const arcs = decodeArcs(topology);
    const geometries = (layer: string) => topology.objects[layer]?.geometries ?? [];
    this.areas = geometries("areas").map((geometry) => areaFrom(geometry, arcs));
    this.far = geometries("far").flatMap((geometry) => ringsOf(geometry, arcs));
    this.names = geometries("places").map((geometry) => nameFrom(geometry, topology.transform));
  }

  /** The name of the place that a cell's centre lies in. */
  placeOf(cell: string): Place {
    let place = this.places.get(cell);
    if (place === undefined) this.places.set(cell, (place = this.findPlace(hexagon(cell).center)));
    return place;
  }

  private findPlace(point: Point): Place {
    const within = this.areas.find((area) => isWithin(area.extent, point) && contains(area.rings, point));
    if (within !== undefined) return { name: within.name, region: within.region };
    const towns = this.names.filter((name) => name.kind === "town");
    const [town, townDistance] = nearest(towns, (name) => distanceSquared([[name.at]], point));
    const isOnFarLand = contains(this.far, point);
    if (isOnFarLand && town !== undefined && townDistance < NEAR_TOWN ** 2)
      return { name: town.name, region: this.regionAt(point) };
    const [area, distance] = nearest(this.areas, (candidate) => distanceSquared(candidate.rings, point));
    if (area !== undefined && distance < OFF_SHORE ** 2) return { name: `off ${area.name}`, region: area.region };
    return { name: this.regionAt(point) || "Open water", region: "" };
  }

  private regionAt(point: Point): string {
    const regions = this.names.filter((name) => name.kind === "region");
    return nearest(regions, (name) => distanceSquared([[name.at]], point))[0]?.name ?? "";
  }
}

function nearest<T>(all: readonly T[], distance: (one: T) => number): [T | undefined, number] {
  let [best, least]: [T | undefined, number] = [undefined, Infinity];
  for (const one of all) {
    const to = distance(one);
    if (to < least) [best, least] = [one, to];
  }
  return [best, least];
}

/** The arcs in the map's projection: in the file each point is the difference from the one before. */
function decodeArcs({ arcs, transform: { scale, translate } }: Topology): Point[][] {
  return arcs.map((arc) => {
    let [x, y] = [0, 0];
    return arc.map(([dx, dy]) => {
      x += dx;
      y += dy;
      return project([x * scale[0] + translate[0], y * scale[1] + translate[1]]);
    });
  });
}

function ringsOf({ type, arcs = [] }: Geometry, decoded: Point[][]): Point[][] {
  const rings = (type === "MultiPolygon" ? (arcs as number[][][]).flat() : arcs) as number[][];
  return rings.map((ring) =>
    ring.flatMap((index) => (index < 0 ? (decoded[~index] ?? []).toReversed() : (decoded[index] ?? []))),
  );
}

function areaFrom(geometry: Geometry, arcs: Point[][]): LandArea {
  const rings = ringsOf(geometry, arcs);
  const largest = rings.reduce((best, ring) => (areaOf(ring) > areaOf(best) ? ring : best), rings[0] ?? []);
  const { n = "", r = "", k } = geometry.properties ?? {};
  return {
    name: n,
    region: r,
    kind: k === "park" || k === "airport" ? k : "land",
    rings,
    extent: extentOf(rings.flat()),
    label: pointInside([largest]),
  };
}

function nameFrom(
  { properties, coordinates: [x, y] = [0, 0] }: Geometry,
  { scale, translate }: Topology["transform"],
): PlaceName {
  const { n = "", k } = properties ?? {};
  const at = project([x * scale[0] + translate[0], y * scale[1] + translate[1]]);
  return { name: n, kind: k === "borough" || k === "region" ? k : "town", at };
}
