/** A multiplier's course, small: steps from the left, where the page opened or an hour ago, to now. */
import type { Series } from "../model/history.ts";

const [WIDTH, HEIGHT, INSET] = [64, 20, 1.5];
/** The scale reaches at least to this multiplier, so that a quiet place looks quiet. */
const LEAST_TOP = 2;

export function Sparkline({ series: { times, multipliers } }: { series: Series }) {
  const [start, end] = [times[0] ?? 0, times.at(-1) ?? 0];
  const top = multipliers.reduce((most, value) => Math.max(most, value), LEAST_TOP);
  const x = (time: number) => (INSET + ((time - start) / (end - start)) * (WIDTH - 2 * INSET)).toFixed(1);
  const y = (value: number) => (HEIGHT - INSET - ((value - 1) / (top - 1)) * (HEIGHT - 2 * INSET)).toFixed(1);
  let path = "";
  if (end > start) {
    path = `M${x(start)} ${y(multipliers[0] ?? 1)}`;
    for (const [i, time] of times.entries()) path += `H${x(time)}V${y(multipliers[i] ?? 1)}`;
  }
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path d={path} />
    </svg>
  );
}
