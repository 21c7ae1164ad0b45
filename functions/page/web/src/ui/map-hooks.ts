/** The map beside the panels: what it shows follows what they show. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Basemap, loadBasemap } from "../map/basemap.ts";
import { CityMap, type Padding } from "../map/city-map.ts";
import type { Theme } from "../map/palette.ts";
import type { CityState, ProductState } from "../model/city-state.ts";

/** The layout of a phone, as in style.css. */
const PHONE = matchMedia("(max-width: 760px)");

/** A cell that the pointer or the keys are at. */
export interface Pointed {
  cell: string;
  /** Where the pointer is; undefined if keys have moved there. */
  pixel?: number[];
}

/** The basemap of the shown city, once it is loaded. */
export function useBasemap(state: CityState | undefined): Basemap | undefined {
  const [loaded, setLoaded] = useState<{ city: string; basemap: Basemap | undefined }>();
  const city = state?.city.city;
  useEffect(() => {
    if (state === undefined) return;
    const { city, boundary } = state.city;
    void loadBasemap(city, boundary)
      .catch(() => undefined)
      .then((basemap) => setLoaded({ city, basemap }));
  }, [city]);
  return loaded?.city === city ? loaded?.basemap : undefined;
}

interface MapProps {
  state: CityState | undefined;
  prices: ProductState | undefined;
  changes: number;
  basemap: Basemap | undefined;
  theme: Theme;
  cell: string | undefined;
  setCell(cell: string | undefined): void;
  setPointed(pointed: Pointed | undefined): void;
}

/** The map, kept in step with what is shown beside it. */
export function useMap({ state, prices, changes, basemap, theme, cell, setCell, setPointed }: MapProps) {
  const element = useRef<HTMLDivElement>(null);
  const map = useRef<CityMap>(undefined);
  const city = state?.city;
  useEffect(() => {
    if (element.current === null) return;
    map.current = new CityMap(element.current, {
      pick: setCell,
      hover: (over, pixel) => setPointed(over === undefined ? undefined : { cell: over, pixel }),
      visit: (visited) => setPointed({ cell: visited }),
    });
  }, []);
  useEffect(() => map.current?.wear(theme), [theme]);
  const arrange = useCallback(() => map.current?.setPadding(paddingFor(cell !== undefined)), [cell]);
  useEffect(() => {
    arrange();
    addEventListener("resize", arrange);
    return () => removeEventListener("resize", arrange);
  }, [arrange]);
  useEffect(() => {
    if (city !== undefined) map.current?.open(city);
  }, [city?.city]);
  useEffect(() => map.current?.setBasemap(basemap), [basemap, city?.city]);
  useEffect(() => {
    if (prices !== undefined && (state?.asOfMs ?? 0) > 0) map.current?.show(prices.cells);
  }, [prices, changes]);
  useEffect(() => map.current?.select(cell, (city?.surge.ring_weights.length ?? 1) - 1), [cell, city]);
  return { element, map };
}

/** What the panels cover, as in style.css. */
function paddingFor(hasCell: boolean): Padding {
  if (PHONE.matches) return [108, 8, innerHeight * (hasCell ? 0.62 : 0.46), 8];
  return [84, hasCell ? 404 : 24, 76, 360];
}
