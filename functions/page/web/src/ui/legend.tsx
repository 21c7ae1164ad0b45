/** What the colours of the map mean. */
import { type Theme, colorOf, positionOf } from "../map/palette.ts";

const MARKS = [1, 1.5, 2, 3, 5];
const STEPS = 12;

export function Legend({ theme }: { theme: Theme }) {
  const stops = Array.from({ length: STEPS }, (_, i) => colorOf(5 ** (i / (STEPS - 1)), theme));
  return (
    <div class="panel legend" role="img" aria-label="Colours of multipliers from 1× to 5×">
      <div class="ramp" style={{ background: `linear-gradient(90deg, ${stops.join(",")})` }} />
      <div class="marks">
        {MARKS.map((mark) => (
          <span key={mark} style={{ left: `${positionOf(mark) * 100}%` }}>
            {mark}×
          </span>
        ))}
      </div>
    </div>
  );
}
