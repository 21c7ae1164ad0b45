/** The page: the map under its panels, and the keys. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { CityMap } from "../map/city-map.ts";
import { neighboursOf } from "../map/grid.ts";
import type { CityState, ProductState } from "../model/city-state.ts";
import { type HotSpot, hotSpots } from "../model/hot-spots.ts";
import type { LiveCity } from "../model/live-city.ts";
import { Bar, currencyOf } from "./bar.tsx";
import { CellPanel } from "./cell-panel.tsx";
import { count, placeOf, times } from "./format.ts";
import { Help } from "./help.tsx";
import { Icon } from "./icon.tsx";
import { useKeys } from "./keys.ts";
import { Legend } from "./legend.tsx";
import { type Pointed, useBasemap, useMap } from "./map-hooks.ts";
import { Now } from "./now.tsx";
import { Story } from "./story.tsx";
import { useStored, useTheme } from "./stored.ts";

/** The story is told to those who open the page this long after the simulation's start. */
const STORY_MS = 15 * 60_000;

interface AppProps {
  live: LiveCity;
  /** Counts the changes of `live`. */
  changes: number;
  initial: URLSearchParams;
}

export function App({ live, changes, initial }: AppProps) {
  const { state, link } = live;
  const [theme, switchTheme] = useTheme();
  const [usesLetters, setUsesLetters] = useStored("letters", true);
  const [product, setProduct] = useState(initial.get("product") ?? "");
  const [cell, setCell] = useState(initial.get("cell") ?? undefined);
  const [pointed, setPointed] = useState<Pointed>();
  const [isHelpOpen, setHelpOpen] = useState(false);
  const [isStoryHidden, setStoryHidden] = useState(false);

  const city = state?.city;
  const shownProduct = city?.products.includes(product) ? product : (city?.products[0] ?? "");
  const prices = state?.products.get(shownProduct);
  const spots = useMemo(() => (prices ? hotSpots(prices.cells, neighboursOf) : []), [prices, changes]);
  const basemap = useBasemap(state);
  const { element, map } = useMap({ state, prices, changes, basemap, theme, cell, setCell, setPointed });
  const nowMs = live.clock.nowMs();
  const ageMs = state && state.asOfMs > 0 ? nowMs - state.asOfMs : 0;
  const hasStory = useHasStory(state, nowMs) && !isStoryHidden;

  useEffect(
    () => rememberInAddress({ city: city?.city, product: shownProduct, cell }, live),
    [city, shownProduct, cell],
  );

  const close = () => {
    setCell(undefined);
    map.current?.focus();
  };
  useKeys(usesLetters, {
    n: () => setCell(nextSpot(spots, cell)),
    t: switchTheme,
    "?": () => setHelpOpen(true),
    "+": () => map.current?.zoomBy(1),
    "=": () => map.current?.zoomBy(1),
    "-": () => map.current?.zoomBy(-1),
    "0": () => map.current?.goHome(),
    Escape: () => !isHelpOpen && cell !== undefined && close(),
  });

  const name = (of: string) => (city ? placeOf(of, city, basemap).name : "");
  const currency = currencyOf(link, state?.asOfMs ?? 0, state?.mode ?? "static", state?.feed ?? "ok");
  const isFaded = currency === "cached" || currency === "lost";
  return (
    <>
      <a class="skip" href="#map">
        To the map
      </a>
      <Bar
        cities={live.cities}
        city={city?.city ?? ""}
        products={city?.products ?? []}
        product={shownProduct}
        currency={currency}
        ageMs={ageMs}
        theme={theme}
        showCity={(id) => (setCell(undefined), live.show(id))}
        showProduct={setProduct}
        switchTheme={switchTheme}
        showHelp={() => setHelpOpen(true)}
      />
      <main>
        <div
          id="map"
          class={isFaded ? "faded" : ""}
          ref={element}
          tabIndex={0}
          role="application"
          aria-label="Map of prices. Arrow keys move from hexagon to hexagon, Enter opens one."
          aria-describedby="visited"
        />
        <p id="visited" class="hidden" aria-live="polite">
          {pointed && pointed.pixel === undefined && prices
            ? `${name(pointed.cell)}: ${inWords(pointed.cell, prices)}`
            : ""}
        </p>
        {pointed?.pixel && prices && <Tip pointed={pointed} name={name(pointed.cell)} prices={prices} />}
        <div class={cell === undefined ? "left" : "left beside-cell"}>
          {city && state && prices && (
            <Now
              city={city}
              state={prices}
              mode={state.mode}
              pricedAtMs={state.pricedAtMs}
              ageMs={ageMs}
              spots={spots}
              basemap={basemap}
              theme={theme}
              selected={cell}
              pick={setCell}
            />
          )}
          {city && prices && hasStory && (
            <Story city={city} state={prices} nowMs={nowMs} close={() => setStoryHidden(true)} />
          )}
        </div>
        {cell !== undefined && city && state && prices && (
          <CellPanel
            cell={cell}
            city={city}
            state={prices}
            pricedAtMs={state.pricedAtMs}
            mode={state.mode}
            feed={state.feed}
            basemap={basemap}
            theme={theme}
            close={close}
          />
        )}
        <div class="foot">
          <Legend theme={theme} />
          <Zoom map={map} />
        </div>
        {link === "lost" && (
          <p class="panel lost" role="alert">
            The server does not answer.{state ? " These are the last prices it sent." : ""}
          </p>
        )}
      </main>
      {isHelpOpen && (
        <Help usesLetters={usesLetters} setUsesLetters={setUsesLetters} close={() => setHelpOpen(false)} />
      )}
    </>
  );
}

function Zoom({ map }: { map: { current: CityMap | undefined } }) {
  return (
    <div class="panel zoom">
      <button aria-label="Zoom in" onClick={() => map.current?.zoomBy(1)}>
        <Icon name="plus" />
      </button>
      <button aria-label="Zoom out" onClick={() => map.current?.zoomBy(-1)}>
        <Icon name="minus" />
      </button>
      <button aria-label="Whole city" onClick={() => map.current?.goHome()}>
        <Icon name="whole" />
      </button>
    </div>
  );
}

function Tip({ pointed, name, prices }: { pointed: Pointed; name: string; prices: ProductState }) {
  const row = prices.cells.get(pointed.cell);
  const [x = 0, y = 0] = pointed.pixel ?? [];
  if (row === undefined) return null;
  return (
    <div class="panel tip" style={{ left: `${Math.min(x + 14, innerWidth - 230)}px`, top: `${y + 14}px` }}>
      <b>{times(row.multiplier)}</b> {name}
      <small>
        {count(row.demand, "rider")} · {count(row.supply, "driver")}
      </small>
    </div>
  );
}

function inWords(cell: string, prices: ProductState): string {
  const row = prices.cells.get(cell);
  if (row === undefined) return "no riders, no drivers, base price";
  return `${times(row.multiplier)}, ${count(row.demand, "rider")}, ${count(row.supply, "driver")}`;
}

function nextSpot(spots: HotSpot[], cell: string | undefined): string | undefined {
  const at = spots.findIndex(({ top }) => top.cell === cell);
  return spots[(at + 1) % Math.max(1, spots.length)]?.top.cell ?? cell;
}

/** Whether the page was opened in a simulated city's first minutes. */
function useHasStory(state: CityState | undefined, nowMs: number): boolean {
  const openedEarly = useRef<boolean>(undefined);
  if (state === undefined || state.asOfMs === 0) return false;
  const { kind, started_at } = state.city.source;
  openedEarly.current ??= nowMs - Date.parse(started_at) < STORY_MS;
  return kind === "simulated" && openedEarly.current;
}

/** Keeps what is shown in the page's address, so that it can be sent and reloaded. */
function rememberInAddress(shown: Record<string, string | undefined>, { cities, state }: LiveCity): void {
  if (state === undefined) return;
  const query = new URLSearchParams();
  if (cities.length > 1 && shown["city"]) query.set("city", shown["city"]);
  if (state.city.products.length > 1 && shown["product"]) query.set("product", shown["product"]);
  if (shown["cell"]) query.set("cell", shown["cell"]);
  const text = query.toString();
  history.replaceState(null, "", text === "" ? location.pathname : `?${text}`);
}
