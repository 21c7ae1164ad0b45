/** The ground: a basemap's land, or where there is none the city's boundary and a graticule. */
import { toLonLat } from "ol/proj.js";
import type { Area } from "../api.ts";
import type { Basemap, Kind } from "./basemap.ts";
import { type Point, project } from "./grid.ts";
import { PaintedLayer, type Sheet } from "./painted-layer.ts";
import { GROUND } from "./palette.ts";

/** Distances between the lines of a graticule, in degrees. */
const STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
/** Lines are at least this far apart, in pixels. */
const MIN_GAP = 110;

/** Shapes in metres from an origin near them: a canvas counts in floats that are too coarse for the whole projection. */
interface Shapes {
  origin: Point;
  far: Path2D;
  areas: { kind: Kind; path: Path2D }[];
}

export class GroundLayer extends PaintedLayer {
  private shapes: Shapes | undefined;
  private boundary: Point[][] = [];

  constructor() {
    super("ground");
  }

  show(basemap: Basemap | undefined, boundary: Area): void {
    const rings = boundary.type === "Polygon" ? boundary.coordinates : boundary.coordinates.flat();
    this.boundary = rings.map((ring) => ring.map(project));
    this.shapes = basemap && shapesOf(basemap);
    this.repaint();
  }

  protected override paint(context: CanvasRenderingContext2D, sheet: Sheet): void {
    if (this.shapes !== undefined) this.paintLand(context, sheet, this.shapes);
    else if (this.boundary.length > 0) this.paintGraticule(context, sheet);
  }

  private paintLand(context: CanvasRenderingContext2D, sheet: Sheet, { origin, far, areas }: Shapes): void {
    const ground = GROUND[this.theme];
    const scale = sheet.pixelRatio / sheet.resolution;
    const [x, y] = [sheet.x(origin[0]) * sheet.pixelRatio, sheet.y(origin[1]) * sheet.pixelRatio];
    context.setTransform(scale, 0, 0, -scale, x, y);
    context.lineJoin = "round";
    context.lineWidth = 0.7 * sheet.resolution;
    context.fillStyle = ground.farLand;
    context.strokeStyle = ground.coast;
    context.fill(far, "evenodd");
    context.stroke(far);
    context.strokeStyle = ground.line;
    const fills = { land: ground.land, park: ground.park, airport: ground.airport };
    for (const { kind, path } of areas) {
      context.fillStyle = fills[kind];
      context.fill(path, "evenodd");
      context.stroke(path);
    }
    context.setTransform(sheet.pixelRatio, 0, 0, sheet.pixelRatio, 0, 0);
  }

  private paintGraticule(context: CanvasRenderingContext2D, sheet: Sheet): void {
    const ground = GROUND[this.theme];
    context.beginPath();
    for (const ring of this.boundary) {
      for (const [k, [x, y]] of ring.entries()) {
        if (k === 0) context.moveTo(sheet.x(x), sheet.y(y));
        else context.lineTo(sheet.x(x), sheet.y(y));
      }
      context.closePath();
    }
    context.fillStyle = ground.land;
    context.strokeStyle = ground.coast;
    context.lineWidth = 1;
    context.fill("evenodd");
    context.stroke();
    this.paintLines(context, sheet);
  }

  private paintLines(context: CanvasRenderingContext2D, sheet: Sheet): void {
    const corner = (x: number, y: number) => {
      const [left, top] = [sheet.x(0), sheet.y(0)];
      return toLonLat([(x - left) * sheet.resolution, (top - y) * sheet.resolution]);
    };
    const [[west = 0, north = 0], [east = 0, south = 0]] = [corner(0, 0), corner(sheet.width, sheet.height)];
    const wanted = ((east - west) / sheet.width) * MIN_GAP;
    const step = STEPS.find((candidate) => candidate >= wanted) ?? 30;
    const decimals = step < 0.1 ? 2 : step < 1 ? 1 : 0;
    const ground = GROUND[this.theme];
    context.strokeStyle = ground.line;
    context.lineWidth = 0.8;
    context.fillStyle = ground.name;
    context.font = "500 10px Inter, system-ui, sans-serif";
    context.textAlign = "left";
    context.textBaseline = "bottom";
    const name = (degrees: number, positive: string, negative: string) =>
      `${Math.abs(degrees).toFixed(decimals)}° ${degrees < 0 ? negative : positive}`;
    for (let i = Math.ceil(west / step); i * step <= east; i += 1) {
      const x = sheet.x(project([i * step, 0])[0]);
      line(context, [x, 0], [x, sheet.height]);
      for (let y = sheet.height / 6; y < sheet.height; y += sheet.height / 3)
        context.fillText(name(i * step, "E", "W"), x + 4, y);
    }
    for (let i = Math.ceil(south / step); i * step <= north; i += 1) {
      const y = sheet.y(project([0, i * step])[1]);
      line(context, [0, y], [sheet.width, y]);
      for (let x = sheet.width / 2; x < sheet.width; x += sheet.width / 3)
        context.fillText(name(i * step, "N", "S"), x, y - 3);
    }
  }
}

function shapesOf(basemap: Basemap): Shapes {
  const origin = basemap.areas[0]?.rings[0]?.[0] ?? basemap.far[0]?.[0] ?? [0, 0];
  return {
    origin,
    far: pathOf(basemap.far, origin),
    areas: basemap.areas.map(({ kind, rings }) => ({ kind, path: pathOf(rings, origin) })),
  };
}

function pathOf(rings: Point[][], origin: Point): Path2D {
  const path = new Path2D();
  for (const ring of rings) {
    for (const [k, [x, y]] of ring.entries()) {
      if (k === 0) path.moveTo(x - origin[0], y - origin[1]);
      else path.lineTo(x - origin[0], y - origin[1]);
    }
    path.closePath();
  }
  return path;
}

function line(context: CanvasRenderingContext2D, from: Point, to: Point): void {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}
