/** The prices: a hexagon for each reported cell, with its multiplier where there is room. */
import type { Row } from "../api.ts";
import { type Hexagon, type Point, hexagon, outlineAround } from "./grid.ts";
import { PaintedLayer, type Sheet } from "./painted-layer.ts";
import { GROUND, OPACITY, colorOf, inkOn } from "./palette.ts";

/** Hexagons of one path: Skia's software raster slows down with the square of a path's length. */
const HEXAGONS_A_PATH = 8;
/** A hexagon of at least this height, in pixels, has its multiplier written in it. */
export const MIN_NUMBERED = 30;
/** Hexagons are drawn this much smaller, so that a gap shows between them. */
const [QUIET_SCALE, SCALE] = [0.9, 0.955];

export class HexagonLayer extends PaintedLayer {
  private cells: ReadonlyMap<string, Row> = new Map();
  private selected: string | undefined;
  private rings = 0;
  private cursor: string | undefined;

  constructor() {
    super("hexagons");
  }

  show(cells: ReadonlyMap<string, Row>): void {
    this.cells = cells;
    this.repaint();
  }

  /** Marks a cell, and the rings around it that its price depends on. */
  select(cell: string | undefined, rings: number): void {
    this.selected = cell;
    this.rings = rings;
    this.repaint();
  }

  point(cell: string | undefined): void {
    if (cell === this.cursor) return;
    this.cursor = cell;
    this.repaint();
  }

  protected override paint(context: CanvasRenderingContext2D, sheet: Sheet): void {
    const { quiet, colored } = this.visible(sheet);
    context.fillStyle = GROUND[this.theme].quiet;
    fill(context, sheet, quiet, QUIET_SCALE);
    context.globalAlpha = OPACITY[this.theme];
    const byMultiplier = [...colored].sort(([a], [b]) => a - b);
    for (const [multiplier, hexagons] of byMultiplier) {
      context.fillStyle = colorOf(multiplier, this.theme);
      fill(context, sheet, hexagons, SCALE);
    }
    context.globalAlpha = 1;
    this.writeNumbers(context, sheet, byMultiplier);
    this.markSelection(context, sheet);
  }

  private visible(sheet: Sheet): { quiet: Hexagon[]; colored: Map<number, Hexagon[]> } {
    const quiet: Hexagon[] = [];
    const colored = new Map<number, Hexagon[]>();
    for (const { cell, multiplier, demand, supply } of this.cells.values()) {
      const known = hexagon(cell);
      const [x, y] = [sheet.x(known.center[0]), sheet.y(known.center[1])];
      const reach = heightOf(known, sheet);
      if (x < -reach || y < -reach || x > sheet.width + reach || y > sheet.height + reach) continue;
      if (multiplier === 1) {
        if (demand > 0 || supply > 0) quiet.push(known);
        continue;
      }
      const same = colored.get(multiplier);
      if (same === undefined) colored.set(multiplier, [known]);
      else same.push(known);
    }
    return { quiet, colored };
  }

  private writeNumbers(context: CanvasRenderingContext2D, sheet: Sheet, colored: [number, Hexagon[]][]): void {
    const height = heightOf(colored[0]?.[1][0], sheet);
    if (height < MIN_NUMBERED) return;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `600 ${Math.min(15, height * 0.3)}px Inter, system-ui, sans-serif`;
    for (const [multiplier, hexagons] of colored) {
      context.fillStyle = inkOn(multiplier, this.theme);
      const text = multiplier.toFixed(Number.isInteger(Math.round(multiplier * 100) / 10) ? 1 : 2);
      for (const { center } of hexagons) context.fillText(text, sheet.x(center[0]), sheet.y(center[1]));
    }
  }

  private markSelection(context: CanvasRenderingContext2D, sheet: Sheet): void {
    const { selection, cursor, halo } = GROUND[this.theme];
    context.lineJoin = "round";
    if (this.selected !== undefined) {
      const marked = hexagon(this.selected);
      if (heightOf(marked, sheet) > 14) {
        for (let distance = 1; distance <= this.rings; distance += 1) {
          const outline = outlineAround(this.selected, distance);
          stroke(context, sheet, outline, halo, 3, []);
          stroke(context, sheet, outline, selection, 2, [1.5, 4]);
        }
      }
      stroke(context, sheet, [marked.corners], halo, 5.5, []);
      stroke(context, sheet, [marked.corners], selection, 3, []);
    }
    if (this.cursor !== undefined && this.cursor !== this.selected) {
      stroke(context, sheet, [hexagon(this.cursor).corners], cursor, 2, []);
    }
  }
}

/** The height of a hexagon in pixels; 0 without one. */
export function heightOf(one: Hexagon | undefined, { resolution }: Pick<Sheet, "resolution">): number {
  const [first, opposite] = [one?.corners[0], one?.corners[3]];
  if (first === undefined || opposite === undefined) return 0;
  return Math.hypot(first[0] - opposite[0], first[1] - opposite[1]) / resolution;
}

function fill(context: CanvasRenderingContext2D, sheet: Sheet, hexagons: Hexagon[], scale: number): void {
  for (let i = 0; i < hexagons.length; i += HEXAGONS_A_PATH) {
    context.beginPath();
    for (const { center, corners } of hexagons.slice(i, i + HEXAGONS_A_PATH)) {
      for (const [k, corner] of corners.entries()) {
        const x = sheet.x(center[0] + (corner[0] - center[0]) * scale);
        const y = sheet.y(center[1] + (corner[1] - center[1]) * scale);
        if (k === 0) context.moveTo(x, y);
        else context.lineTo(x, y);
      }
      context.closePath();
    }
    context.fill();
  }
}

function stroke(
  context: CanvasRenderingContext2D,
  sheet: Sheet,
  rings: Point[][],
  color: string,
  width: number,
  dash: number[],
): void {
  context.beginPath();
  for (const ring of rings) {
    for (const [k, [x, y]] of ring.entries()) {
      if (k === 0) context.moveTo(sheet.x(x), sheet.y(y));
      else context.lineTo(sheet.x(x), sheet.y(y));
    }
    context.closePath();
  }
  context.setLineDash(dash);
  context.lineCap = dash.length > 0 ? "round" : "butt";
  context.strokeStyle = color;
  context.lineWidth = width;
  context.stroke();
  context.setLineDash([]);
}
