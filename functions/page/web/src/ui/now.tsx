/** What happens in the city now: a sentence, three numbers, the busiest places. */
import type { ComponentChildren } from "preact";
import type { City, Mode } from "../api.ts";
import type { Basemap } from "../map/basemap.ts";
import { type Theme, colorOf, inkOn } from "../map/palette.ts";
import type { ProductState } from "../model/city-state.ts";
import type { HotSpot } from "../model/hot-spots.ts";
import { count, placeOf, seconds, times } from "./format.ts";
import { Sparkline } from "./sparkline.tsx";

/** Places that are listed. */
const MAX_PLACES = 4;

interface NowProps {
  city: City;
  state: ProductState;
  mode: Mode;
  pricedAtMs: number;
  /** The age of the counts. */
  ageMs: number;
  spots: HotSpot[];
  basemap: Basemap | undefined;
  theme: Theme;
  selected: string | undefined;
  pick(cell: string): void;
}

export function Now(props: NowProps) {
  const { city, state, mode, pricedAtMs, ageMs, spots, basemap, theme } = props;
  let [riders, drivers] = [0, 0];
  for (const row of state.cells.values()) {
    riders += row.demand;
    drivers += row.supply;
  }
  const highest = spots[0]?.top.multiplier ?? 1;
  return (
    <section class="panel now" aria-labelledby="now-heading">
      {pricedAtMs === 0 ? (
        <Headline text="Waiting for the city’s first prices">
          The first tick closes a few seconds after the first events arrive.
        </Headline>
      ) : mode === "static" || mode === "degraded" ? (
        <Headline text={mode === "static" ? "Prices follow the timetable" : "All prices are flat"}>
          No tick has closed for {seconds(ageMs)}: counts are too old to price by.{" "}
          {mode === "static" ? "Each hour of the week has a price of its own" : "Every ride costs its base price"} until
          they are current again.
        </Headline>
      ) : (
        <Balance spots={spots} total={state.cells.size} name={(cell) => placeOf(cell, city, basemap).name} />
      )}
      <dl class="facts">
        <div>
          <dt>Highest</dt>
          <dd class="highest" style={{ "--chip": highest > 1 ? colorOf(highest, theme) : "transparent" }}>
            {times(highest)}
          </dd>
        </div>
        <div>
          <dt>Riders asking</dt>
          <dd>{riders.toLocaleString("en")}</dd>
        </div>
        <div>
          <dt>Drivers counted</dt>
          <dd>{drivers.toLocaleString("en")}</dd>
        </div>
      </dl>
      {spots.length > 0 && <Places {...props} />}
    </section>
  );
}

function Headline({ text, children }: { text: ComponentChildren; children: ComponentChildren }) {
  return (
    <>
      <h2 id="now-heading">{text}</h2>
      <p class="lede">{children}</p>
    </>
  );
}

interface BalanceProps {
  spots: HotSpot[];
  total: number;
  name(cell: string): string;
}

/** Whether drivers meet riders, and where they do not. */
function Balance({ spots, total, name }: BalanceProps) {
  const top = spots[0]?.top;
  if (top === undefined) {
    return (
      <Headline text="The city is in balance">
        Every ride costs its base price. When more riders than drivers gather in one place, hexagons there take colour.
      </Headline>
    );
  }
  const hot = spots.reduce((sum, { size }) => sum + size, 0);
  return (
    <Headline
      text={
        <>
          Riders outnumber drivers around <em>{name(top.cell)}</em>
        </>
      }
    >
      {hot.toLocaleString("en")} of {count(total, "hexagon")} cost more than usual. A higher price asks some riders to
      wait and draws drivers in, until both sides match.
    </Headline>
  );
}

function Places({ city, state, pricedAtMs, spots, basemap, theme, selected, pick }: NowProps) {
  return (
    <>
      <h3>Where</h3>
      <ol class="places">
        {spots.slice(0, MAX_PLACES).map(({ top, size }) => {
          const { name, region } = placeOf(top.cell, city, basemap);
          const colors = { background: colorOf(top.multiplier, theme), color: inkOn(top.multiplier, theme) };
          return (
            <li key={name}>
              <button class={top.cell === selected ? "on" : ""} onClick={() => pick(top.cell)}>
                <span class="tag" style={colors}>
                  {times(top.multiplier)}
                </span>
                <span class="where">
                  <b>{name}</b>
                  <small>
                    {region === "" ? "" : `${region} · `}
                    {count(size, "hexagon")}
                  </small>
                </span>
                <Sparkline series={state.history.series(top.cell, pricedAtMs)} />
              </button>
            </li>
          );
        })}
      </ol>
    </>
  );
}
