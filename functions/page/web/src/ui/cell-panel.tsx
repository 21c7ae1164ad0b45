/** One cell: its price, its course since the page opened, and why. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { City, Feed, Mode } from "../api.ts";
import type { Basemap } from "../map/basemap.ts";
import { lngLatOf, ringsAround } from "../map/grid.ts";
import { type Theme, colorOf } from "../map/palette.ts";
import { contains } from "../map/polygon.ts";
import type { ProductState } from "../model/city-state.ts";
import { type Balance, type RingCounts, type Trend, balance, limitsWithin, trend } from "../model/surge-rule.ts";
import { Course } from "./course.tsx";
import { placeOf, times, zoneOf } from "./format.ts";
import { Icon } from "./icon.tsx";
import { Why } from "./why.tsx";

interface CellPanelProps {
  cell: string;
  city: City;
  state: ProductState;
  pricedAtMs: number;
  mode: Mode;
  feed: Feed;
  basemap: Basemap | undefined;
  theme: Theme;
  close(): void;
}

export function CellPanel({ cell, city, state, pricedAtMs, mode, feed, basemap, theme, close }: CellPanelProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [cell]);
  const { name, region } = placeOf(cell, city, basemap);
  const series = useMemo(() => state.history.series(cell, pricedAtMs), [cell, state, pricedAtMs]);
  const row = state.cells.get(cell);
  const zone = zoneOf(cell, city);
  const limits = limitsWithin(city.limits, zone?.limits);
  const multiplier = row?.multiplier ?? limits.floor;
  const weighed = balance(countsAround(cell, city, state), city.surge, city.limits);
  const hasOwnLimits = zone?.limits?.max_multiplier !== undefined || zone?.limits?.min_multiplier !== undefined;
  return (
    <aside class="panel cell" aria-labelledby="cell-heading">
      <header>
        <div>
          <h2 id="cell-heading" tabIndex={-1} ref={heading}>
            {name}
          </h2>
          <small>
            {region === "" ? "" : `${region} · `}
            <code>{cell}</code>
          </small>
        </div>
        <button class="tool" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      {isServed(cell, city) ? (
        <>
          <p class="multiplier">
            <strong style={{ "--chip": multiplier === 1 ? "var(--line)" : colorOf(multiplier, theme) }}>
              {times(multiplier)}
            </strong>
            <span>
              {priceInWords(multiplier)}
              <small>{mode === "fresh" ? outlook(multiplier, weighed, city, limits, feed) : MODES[mode]}</small>
            </span>
          </p>
          <Course cell={cell} series={series} timezone={city.timezone} theme={theme} />
          {mode === "fresh" || mode === "cached" ? (
            <Why
              city={city}
              balance={weighed}
              multiplier={multiplier}
              limits={limits}
              zone={hasOwnLimits ? zone?.name : undefined}
            />
          ) : null}
        </>
      ) : (
        <p class="lede">This hexagon’s middle is outside the service area: rides that begin there have no price.</p>
      )}
    </aside>
  );
}

const MODES: Record<Exclude<Mode, "fresh">, string> = {
  cached: "the last good price: no tick has closed since",
  static: "the timetable’s price for this hour: counts are too old",
  degraded: "no surge: counts are too old",
};

function priceInWords(multiplier: number): string {
  if (multiplier === 1) return "the base price";
  return multiplier < 1 ? "less than the base price" : `${times(multiplier)} the base price`.replace("×", " times");
}

/** Where the price goes from here. */
function outlook(
  multiplier: number,
  { raw }: Balance,
  { surge }: City,
  limits: { floor: number; cap: number },
  feed: Feed,
): string {
  const target = times(Math.round(raw * 10) / 10);
  const words: Record<Trend, string> = {
    rising: `rising towards ${target}`,
    falling: `easing towards ${target}`,
    steady: "steady",
    "at cap": `at its cap; balance would take ${target}`,
    "at floor": "at its floor",
    held: `held: too many drivers fell silent; balance would take ${target}`,
  };
  return words[trend(multiplier, raw, surge.step, limits, feed === "suspect")];
}

function countsAround(cell: string, city: City, state: ProductState): RingCounts[] {
  return ringsAround(cell, city.surge.ring_weights.length - 1).map((ring) => {
    const counts = { demand: 0, supply: 0 };
    for (const other of ring) {
      counts.demand += state.cells.get(other)?.demand ?? 0;
      counts.supply += state.cells.get(other)?.supply ?? 0;
    }
    return counts;
  });
}

function isServed(cell: string, { boundary }: City): boolean {
  const rings = boundary.type === "Polygon" ? boundary.coordinates : boundary.coordinates.flat();
  return contains(rings, lngLatOf(cell));
}
