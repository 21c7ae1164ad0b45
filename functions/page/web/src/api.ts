/** The HTTP API as the page reads it (CONTRACT §5, §7, §10). */

export type Mode = "fresh" | "cached" | "static" | "degraded";
export type Feed = "ok" | "suspect";
export type Position = [lng: number, lat: number];

export interface Polygon {
  type: "Polygon";
  coordinates: Position[][];
}

export interface MultiPolygon {
  type: "MultiPolygon";
  coordinates: Position[][][];
}

export type Area = Polygon | MultiPolygon;

export interface CitySummary {
  city: string;
  name: string;
  products: string[];
}

export interface Limits {
  min_multiplier?: number;
  max_multiplier?: number;
}

export interface Zone {
  id: string;
  name: string;
  polygon: Area;
  limits?: Limits;
}

/** The rule of prices, as in the city's policy. */
export interface SurgeRule {
  curve: "equilibrium" | "linear" | "exponential" | "table";
  balanced_ratio: number;
  prior: number;
  demand_elasticity: number;
  supply_elasticity: number;
  slope: number;
  k: number;
  table: [ratio: number, multiplier: number][];
  ring_weights: number[];
  half_life_up_ms: number;
  half_life_down_ms: number;
  step: number;
}

export interface City extends CitySummary {
  resolution: number;
  boundary: Area;
  timezone: string;
  zones: Zone[];
  tick_ms: number;
  source: { kind: "simulated" | "file" | "live"; started_at: string };
  surge: SurgeRule;
  limits: Limits;
}

export interface Row {
  cell: string;
  multiplier: number;
  demand: number;
  supply: number;
}

/** What a map and its changes have in common. */
interface MapHeader {
  city: string;
  version: number;
  bounds: number;
  as_of: string | null;
  mode: Mode;
  feed: Feed;
  completeness: number;
}

export interface SurgeMap extends MapHeader {
  age_ms: number | null;
  cells: (Row & { product: string })[];
}

export interface SurgeChanged extends MapHeader {
  product: string;
  /** The version that the changes apply to. */
  from: number;
  now: string;
  cells: Row[];
  /** Cells that are no longer reported. */
  gone: string[];
}

export interface Pulse {
  now: string;
}

/** Cities of one page of the list; a browser shows more than these badly. */
const MAX_CITIES = 1_000;

async function get<T>(path: string): Promise<T> {
  const response = await fetch(path, { headers: { accept: "application/json" }, signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return (await response.json()) as T;
}

export async function cities(): Promise<CitySummary[]> {
  return (await get<{ cities: CitySummary[] }>(`/v1/cities?limit=${MAX_CITIES}`)).cities;
}

export function city(id: string): Promise<City> {
  return get(`/v1/cities/${encodeURIComponent(id)}`);
}

export function surgeMap(id: string): Promise<SurgeMap> {
  return get(`/v1/cities/${encodeURIComponent(id)}/surge`);
}
