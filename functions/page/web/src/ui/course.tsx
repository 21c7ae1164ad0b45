/** The course of a cell's price, riders and drivers since the page opened, as plots and in words. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Theme } from "../map/palette.ts";
import type { Series } from "../model/history.ts";
import { count, times } from "./format.ts";
import type { Plots } from "./plots.ts";

interface CourseProps {
  cell: string;
  series: Series;
  timezone: string;
  theme: Theme;
}

export function Course({ cell, series, timezone, theme }: CourseProps) {
  const element = useRef<HTMLDivElement>(null);
  const plots = useRef<Plots>(undefined);
  const latest = useRef(series);
  const [pointed, setPointed] = useState<number>();
  latest.current = series;
  useEffect(() => {
    let isGone = false;
    void import("./plots.ts").then(({ Plots }) => {
      if (!isGone && element.current !== null)
        plots.current = new Plots(element.current, latest.current, timezone, setPointed);
    });
    return () => {
      isGone = true;
      plots.current?.destroy();
      plots.current = undefined;
    };
  }, [cell, theme, timezone]);
  useEffect(() => plots.current?.show(series), [series]);
  const at = pointed !== undefined && pointed < series.times.length ? pointed : series.times.length - 1;
  const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: timezone });
  return (
    <figure class="course">
      <figcaption>
        <span class="key price">price {times(series.multipliers[at] ?? 1)}</span>
        <span class="key demand">{count(series.demands[at] ?? 0, "rider")}</span>
        <span class="key supply">{count(series.supplies[at] ?? 0, "driver")}</span>
        <span class="at">{pointed === undefined ? "now" : clock.format((series.times[at] ?? 0) * 1_000)}</span>
      </figcaption>
      <div class="plots" ref={element} role="img" aria-label={inWords(series)} />
    </figure>
  );
}

/** The plots for those who do not see them. */
function inWords({ times: at, multipliers, demands, supplies }: Series): string {
  const last = at.length - 1;
  const minutes = Math.max(1, Math.round(((at[last] ?? 0) - (at[0] ?? 0)) / 60));
  const highest = multipliers.reduce((most, value) => Math.max(most, value), 1);
  const most = demands.reduce((all, value) => Math.max(all, value), 0);
  return (
    `The last ${count(minutes, "minute")}: price ${times(multipliers[0] ?? 1)} at first, ${times(highest)} at most, ` +
    `${times(multipliers[last] ?? 1)} now; ${count(most, "rider")} at most, ${demands[last] ?? 0} now; ` +
    `${count(supplies[last] ?? 0, "driver")} now`
  );
}
