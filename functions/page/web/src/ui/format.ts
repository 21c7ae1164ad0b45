/** Numbers and places in words. */
import type { City } from "../api.ts";
import type { Basemap, Place } from "../map/basemap.ts";
import { lngLatOf } from "../map/grid.ts";
import { contains } from "../map/polygon.ts";

/** A multiplier: `2.4×`, with a second digit where the policy's step needs it. */
export function times(multiplier: number): string {
  const hundredths = Math.round(multiplier * 100);
  return `${(hundredths / 100).toFixed(hundredths % 10 === 0 ? 1 : 2)}×`;
}

export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number.toLocaleString("en")} ${number === 1 ? singular : plural}`;
}

/** A weighted count: at most one digit after the point. */
export function tenths(number: number): string {
  return (Math.round(number * 10) / 10).toLocaleString("en");
}

export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A duration in seconds as people say it. */
export function seconds(milliseconds: number): string {
  const whole = Math.max(0, Math.round(milliseconds / 1_000));
  return whole < 120 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}

/** Where a cell is: by the basemap's names, else the name of its zone, else its coordinates. */
export function placeOf(cell: string, city: City, basemap: Basemap | undefined): Place {
  if (basemap !== undefined) return basemap.placeOf(cell);
  const [lng, lat] = lngLatOf(cell);
  const degrees = (value: number, positive: string, negative: string) =>
    `${Math.abs(value).toFixed(3)}° ${value < 0 ? negative : positive}`;
  const name = `${degrees(lat, "N", "S")}, ${degrees(lng, "E", "W")}`;
  const zone = zoneOf(cell, city);
  return zone === undefined ? { name, region: "" } : { name: zone.name, region: name };
}

/** The zone of a cell: the first one in which its centre lies (CONTRACT §7). */
export function zoneOf(cell: string, city: City): City["zones"][number] | undefined {
  const center = lngLatOf(cell);
  return city.zones.find(({ polygon }) => {
    const rings = polygon.type === "Polygon" ? polygon.coordinates : polygon.coordinates.flat();
    return contains(rings, center);
  });
}
