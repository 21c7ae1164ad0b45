/** The names of places, over the hexagons: fewer when far, and none where it would cover a price. */
import type { Row } from "../api.ts";
import type { Basemap } from "./basemap.ts";
import { type Point, cellAt, hexagon } from "./grid.ts";
import { MIN_NUMBERED, heightOf } from "./hexagon-layer.ts";
import { PaintedLayer, type Sheet } from "./painted-layer.ts";
import { GROUND } from "./palette.ts";

/** From this resolution on, in metres in a pixel, boroughs are named; before, neighbourhoods. */
const BOROUGH_RESOLUTION = 28;
/** Free pixels around a name. */
const [GAP_X, GAP_Y] = [10, 6];

interface Name {
  text: string;
  at: Point;
  isLarge: boolean;
}

type Box = [left: number, top: number, right: number, bottom: number];

export class NameLayer extends PaintedLayer {
  private large: Name[] = [];
  private small: Name[] = [];
  private cells: ReadonlyMap<string, Row> = new Map();
  private resolution = 8;
  /** The hexagons with a colour when the names were last painted. */
  private colored = "";

  constructor() {
    super("names");
  }

  show(basemap: Basemap | undefined, resolution: number): void {
    this.resolution = resolution;
    const places = basemap?.names ?? [];
    this.large = places
      .filter(({ kind }) => kind !== "town")
      .map(({ name, at }) => ({ text: name.toUpperCase(), at, isLarge: true }));
    const areas = (basemap?.areas ?? []).filter(({ kind }) => kind !== "park");
    this.small = [
      ...areas.map(({ name, label }) => ({ text: name.replace(" Airport", ""), at: label, isLarge: false })),
      ...places.filter(({ kind }) => kind === "town").map(({ name, at }) => ({ text: name, at, isLarge: false })),
    ];
    this.repaint();
  }

  /** Leaves these prices free. */
  avoid(cells: ReadonlyMap<string, Row>): void {
    this.cells = cells;
    const colored = [...cells.values()].filter(({ multiplier }) => multiplier !== 1).map(({ cell }) => cell);
    const key = colored.sort().join();
    if (key !== this.colored) this.repaint();
    this.colored = key;
  }

  protected override paint(context: CanvasRenderingContext2D, sheet: Sheet): void {
    const isFar = sheet.resolution >= BOROUGH_RESOLUTION;
    const [anyCell] = this.cells.keys();
    const showsNumbers = anyCell !== undefined && heightOf(hexagon(anyCell), sheet) >= MIN_NUMBERED;
    const { name, halo } = GROUND[this.theme];
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.lineJoin = "round";
    context.fillStyle = name;
    context.strokeStyle = halo;
    context.lineWidth = 3;
    context.font = `${isFar ? 600 : 500} 11px Inter, system-ui, sans-serif`;
    context.letterSpacing = isFar ? "0.5px" : "0px";
    const taken: Box[] = [];
    const written = new Set<string>();
    for (const { text, at } of isFar ? this.large : this.small) {
      const [x, y] = [sheet.x(at[0]), sheet.y(at[1])];
      if (x < 0 || y < 0 || x > sheet.width || y > sheet.height) continue;
      const half = context.measureText(text).width / 2;
      const box: Box = [x - half - GAP_X, y - 6 - GAP_Y, x + half + GAP_X, y + 6 + GAP_Y];
      // Parts of one neighbourhood have its name.
      if (written.has(text) || taken.some((other) => overlaps(box, other))) continue;
      if (showsNumbers && this.coversPrice(at, half * sheet.resolution)) continue;
      taken.push(box);
      written.add(text);
      context.globalAlpha = 0.85;
      context.strokeText(text, x, y);
      context.globalAlpha = 1;
      context.fillText(text, x, y);
    }
  }

  /** Whether a name of this half width, in metres, lies on a hexagon that has a colour. */
  private coversPrice([x, y]: Point, half: number): boolean {
    const isColored = (point: Point) => (this.cells.get(cellAt(point, this.resolution))?.multiplier ?? 1) !== 1;
    return isColored([x, y]) || isColored([x - half, y]) || isColored([x + half, y]);
  }
}

function overlaps(one: Box, other: Box): boolean {
  return one[0] < other[2] && one[2] > other[0] && one[1] < other[3] && one[3] > other[1];
}
