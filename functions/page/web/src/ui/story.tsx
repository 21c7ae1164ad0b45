/** The story of a simulated city's first minutes, in steps that are ticked as the map shows them. */
import type { City } from "../api.ts";
import type { ProductState } from "../model/city-state.ts";
import { Icon } from "./icon.tsx";

/** The stadium empties this long after the simulation's start. */
const STADIUM_EMPTIES_MS = 60_000;
/** Multipliers from which the price has risen, and from which its fall is worth a step. */
const [RISEN, HIGH] = [1.5, 2];
/** The colour has faded when this share of the rise is left. */
const LEFT = 0.25;

interface StoryProps {
  city: City;
  state: ProductState;
  nowMs: number;
  close(): void;
}

export function Story({ city, state, nowMs, close }: StoryProps) {
  const { peak, peakCell } = state;
  const hasFaded = peak > HIGH && (state.cells.get(peakCell)?.multiplier ?? 1) <= 1 + (peak - 1) * LEFT;
  const elapsedMs = nowMs - Date.parse(city.source.started_at);
  const stadium = city.zones.find(({ id }) => id === "stadium")?.name;
  const steps: [title: string, detail: string, isDone: boolean][] = [
    ["The city at rest", "drivers cruise, riders ask by place and hour", true],
    [
      "A stadium empties",
      `one minute after the start${stadium === undefined ? "" : `: ${stadium}`}`,
      elapsedMs >= STADIUM_EMPTIES_MS,
    ],
    ["The price rises there", "until riders wait and drivers come", peak >= RISEN],
    ["Balance returns", "and the colour fades", hasFaded],
  ];
  return (
    <section class="panel story" aria-labelledby="story-heading">
      <header>
        <h2 id="story-heading">A simulated {city.name}, priced live</h2>
        <button class="tool" aria-label="Hide this story" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <ol>
        {steps.map(([title, detail, isDone], i) => (
          <li key={title} class={isDone ? "done" : ""}>
            <i aria-hidden="true">{isDone ? "✓" : i + 1}</i>
            <b>
              {title}
              <span class="hidden">{isDone ? ", done" : ""}</span>
            </b>
            <small>{detail}</small>
          </li>
        ))}
      </ol>
    </section>
  );
}
