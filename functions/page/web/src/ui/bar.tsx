/** The bar on top: which city and product, how current its prices are, and the tools. */
import type { CitySummary, Feed, Mode } from "../api.ts";
import type { Theme } from "../map/palette.ts";
import type { Link } from "../stream/event-stream.ts";
import { capitalized, seconds } from "./format.ts";
import { Icon, Mark } from "./icon.tsx";

/** Products that fit beside each other; more become a list. */
const MAX_BUTTONS = 3;

/** How current the prices are: their mode, unless nothing is known of it. */
export type Currency = Mode | "suspect" | "lost" | "loading";

export function currencyOf(link: Link, asOfMs: number, mode: Mode, feed: Feed): Currency {
  if (link === "lost") return "lost";
  if (asOfMs === 0) return "loading";
  return mode === "fresh" && feed === "suspect" ? "suspect" : mode;
}

interface BarProps {
  cities: CitySummary[];
  city: string;
  products: string[];
  product: string;
  currency: Currency;
  ageMs: number;
  theme: Theme;
  showCity(city: string): void;
  showProduct(product: string): void;
  switchTheme(): void;
  showHelp(): void;
}

export function Bar(props: BarProps) {
  const { currency, ageMs, theme, switchTheme, showHelp } = props;
  return (
    <header class="bar">
      <h1>
        <Mark />
        <span>Equilibrium</span>
      </h1>
      <div class="place">
        <CityChoice {...props} />
        <ProductChoice {...props} />
      </div>
      <Status currency={currency} ageMs={ageMs} />
      <nav aria-label="Tools">
        <button class="tool" aria-label={theme === "dark" ? "Light colours" : "Dark colours"} onClick={switchTheme}>
          <Icon name={theme === "dark" ? "sun" : "moon"} />
        </button>
        <button class="tool" aria-label="Help and keys" onClick={showHelp}>
          <span class="question" aria-hidden="true">
            ?
          </span>
        </button>
      </nav>
    </header>
  );
}

function CityChoice({ cities, city, showCity }: BarProps) {
  if (cities.length < 2) return <b class="only">{cities[0]?.name}</b>;
  return (
    <select aria-label="City" value={city} onChange={(event) => showCity(event.currentTarget.value)}>
      {cities.map(({ city: id, name }) => (
        <option key={id} value={id}>
          {name}
        </option>
      ))}
    </select>
  );
}

function ProductChoice({ products, product, showProduct }: BarProps) {
  if (products.length < 2) return null;
  if (products.length > MAX_BUTTONS) {
    return (
      <select aria-label="Product" value={product} onChange={(event) => showProduct(event.currentTarget.value)}>
        {products.map((id) => (
          <option key={id} value={id}>
            {capitalized(id)}
          </option>
        ))}
      </select>
    );
  }
  return (
    <div class="segments" role="group" aria-label="Product">
      {products.map((id) => (
        <button key={id} aria-pressed={id === product} onClick={() => showProduct(id)}>
          {capitalized(id)}
        </button>
      ))}
    </div>
  );
}

function Status({ currency, ageMs }: { currency: Currency; ageMs: number }) {
  const age = seconds(ageMs);
  const [word, explanation] = {
    fresh: ["Live", `prices ${age} old`],
    suspect: ["Drivers missing", `prices do not rise, ${age} old`],
    cached: ["Delayed", `last good prices, ${age} old`],
    static: ["Timetable", `hour-of-week prices, counts ${age} old`],
    degraded: ["Flat 1.0×", `no surge, counts ${age} old`],
    lost: ["Disconnected", ageMs > 0 ? `last prices, ${age} old` : "trying again"],
    loading: ["Starting", "waiting for the first tick"],
  }[currency];
  return (
    <p class={`status is-${currency}`}>
      <i aria-hidden="true" />
      <b>{word}</b>
      <span>{explanation}</span>
    </p>
  );
}
