/** A cell's price over its riders and drivers, with one cursor: loaded when the first cell is opened. */
import uPlot from "uplot";
import type { Series } from "../model/history.ts";

/** The axis shows at least these seconds, so that the first minutes are not stretched. */
const MIN_SPAN_S = 600;
/** Heights in pixels, and the width of the axis' numbers. */
const [PRICE_HEIGHT, COUNTS_HEIGHT, AXIS_WIDTH] = [98, 112, 40];
/** Scales reach at least to these values. */
const [LEAST_PRICE, LEAST_COUNT] = [2, 10];
/** The lowest multiplier's number is not cut off. */
const ROOM_BELOW = 0.06;

export class Plots {
  private readonly plots: uPlot[];

  /** `pointed` receives the index of the point under the cursor. */
  constructor(element: HTMLElement, series: Series, timezone: string, pointed: (index: number | undefined) => void) {
    const color = (name: string) => getComputedStyle(element).getPropertyValue(name).trim();
    const axis = {
      stroke: color("--muted"),
      font: "11px Inter, system-ui, sans-serif",
      grid: { stroke: color("--line"), width: 1 },
      ticks: { show: false },
      size: AXIS_WIDTH,
    };
    const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: timezone });
    const times = { values: (_: uPlot, at: number[]) => at.map((time) => clock.format(time * 1_000)), space: 70 };
    const common = {
      width: element.clientWidth,
      legend: { show: false },
      padding: [8, 6, 0, 0] as [number, number, number, number],
      cursor: { sync: { key: "cell" }, y: false, points: { size: 7 }, drag: { x: false, y: false } },
      tzDate: (time: number) => uPlot.tzDate(new Date(time * 1_000), timezone),
    };
    const x = {
      time: true,
      range: (_: uPlot, from: number, to: number) => [Math.min(from, to - MIN_SPAN_S), to] as [number, number],
    };
    const line = (name: string) => ({ stroke: color(name), width: 2, paths: stepped, points: { show: false } });
    const price = new uPlot(
      {
        ...common,
        height: PRICE_HEIGHT,
        series: [{}, { ...line("--price"), fill: color("--price-fill") }],
        axes: [
          { ...axis, show: false },
          { ...axis, space: 26, values: (_, at) => at.map((value) => `${value.toFixed(1)}×`) },
        ],
        scales: { x, y: { range: (_, from, to) => priceRange(from, to) } },
        hooks: { setCursor: [({ cursor }) => pointed(cursor.idx ?? undefined)] },
      },
      priceData(series),
      element,
    );
    const counts = new uPlot(
      {
        ...common,
        height: COUNTS_HEIGHT,
        series: [{}, line("--demand"), { ...line("--supply"), dash: [5, 3] }],
        axes: [
          { ...axis, ...times, size: 24 },
          { ...axis, space: 26 },
        ],
        scales: { x, y: { range: (_, _from, to) => [0, Math.max(LEAST_COUNT, to * 1.1)] } },
      },
      countData(series),
      element,
    );
    this.plots = [price, counts];
  }

  show(series: Series): void {
    this.plots[0]?.setData(priceData(series));
    this.plots[1]?.setData(countData(series));
  }

  destroy(): void {
    this.plots.forEach((plot) => plot.destroy());
  }
}

const stepped: uPlot.Series.PathBuilder = (...parameters) => uPlot.paths.stepped?.({ align: 1 })(...parameters) ?? null;

const priceData = (series: Series): uPlot.AlignedData => [series.times, series.multipliers];
const countData = (series: Series): uPlot.AlignedData => [series.times, series.demands, series.supplies];

function priceRange(from: number, to: number): [number, number] {
  const [low, high] = [Math.min(1, from), Math.max(LEAST_PRICE, to)];
  const room = (high - low) * ROOM_BELOW;
  return [low - room, high + room];
}
