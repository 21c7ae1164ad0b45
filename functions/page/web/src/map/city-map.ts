/** The map: OpenLayers' view and interactions around the painted layers, and the keys that move from hexagon to hexagon. */
import OlMap from "ol/Map.js";
import View from "ol/View.js";
import DragPan from "ol/interaction/DragPan.js";
import MouseWheelZoom from "ol/interaction/MouseWheelZoom.js";
import PinchZoom from "ol/interaction/PinchZoom.js";
import Kinetic from "ol/Kinetic.js";
import type { City, Row } from "../api.ts";
import type { Basemap } from "./basemap.ts";
import { type Point, cellAt, hexagon, neighbourTowards, project } from "./grid.ts";
import { GroundLayer } from "./ground-layer.ts";
import { HexagonLayer } from "./hexagon-layer.ts";
import { NameLayer } from "./name-layer.ts";
import type { Theme } from "./palette.ts";
import { type Extent, extentOf } from "./polygon.ts";

export interface MapHandler {
  /** A cell was chosen, or a place without one. */
  pick(cell: string | undefined): void;
  /** The pointer is over a reported cell, at this pixel; or over none. */
  hover(cell: string | undefined, pixel: number[]): void;
  /** The keys have moved to this cell. */
  visit(cell: string): void;
}

/** Space that panels cover: top, right, bottom, left. */
export type Padding = [number, number, number, number];

const DIRECTIONS: Record<string, number> = { ArrowRight: 0, ArrowUp: 90, ArrowLeft: 180, ArrowDown: 270 };
/** The share of busy cells that the first view leaves out on each side. */
const LEFT_OUT = 0.005;
/** The first view shows at least this many metres of the projection, and this much more than the outermost cells. */
const [MIN_SPAN, ROOM] = [9_000, 0.08];
/** A chosen cell is shown at this resolution or nearer, in metres in a pixel. */
const NEAR = 20;
/** The cursor stays this far from the edge of the map, in pixels. */
const EDGE = 80;

export class CityMap {
  private readonly map: OlMap;
  private readonly view = new View({ center: [0, 0], zoom: 2, minZoom: 3, maxZoom: 16.5, enableRotation: false });
  private readonly ground = new GroundLayer();
  readonly hexagons = new HexagonLayer();
  private readonly names = new NameLayer();
  private cells: ReadonlyMap<string, Row> = new Map();
  private city: City | undefined;
  private home: Extent | undefined;
  private cursor: string | undefined;
  /** The cell that was chosen last: the keys go on from there. */
  private last: string | undefined;

  constructor(
    private readonly target: HTMLElement,
    private readonly handler: MapHandler,
  ) {
    this.map = new OlMap({
      target,
      controls: [],
      interactions: [new DragPan({ kinetic: new Kinetic(-0.005, 0.05, 100) }), new MouseWheelZoom(), new PinchZoom()],
      layers: [this.ground, this.hexagons, this.names],
      view: this.view,
    });
    this.map.on("pointermove", ({ dragging, pixel, originalEvent }) => {
      const isMouse = (originalEvent as PointerEvent).pointerType === "mouse";
      if (!dragging && isMouse) this.hover(pixel);
    });
    this.map.on("click", ({ pixel }) => this.pickAt(pixel));
    target.addEventListener("pointerleave", () => this.hover(undefined));
    target.addEventListener("keydown", (event) => this.press(event));
  }

  /** Shows another city: from its boundary, until its cells are known. */
  open(city: City): void {
    this.city = city;
    this.cells = new Map();
    this.home = undefined;
    this.cursor = undefined;
    this.last = undefined;
    this.setBasemap(undefined);
  }

  setBasemap(basemap: Basemap | undefined): void {
    if (this.city === undefined) return;
    this.ground.show(basemap, this.city.boundary);
    this.names.show(basemap, this.city.resolution);
  }

  show(cells: ReadonlyMap<string, Row>): void {
    this.cells = cells;
    this.hexagons.show(cells);
    this.names.avoid(cells);
    if (this.home === undefined && this.city !== undefined) this.goHome(0);
  }

  wear(theme: Theme): void {
    for (const layer of [this.ground, this.hexagons, this.names]) layer.wear(theme);
  }

  /** Leaves room for panels. */
  setPadding(padding: Padding): void {
    this.view.padding = padding;
  }

  select(cell: string | undefined, rings: number): void {
    this.hexagons.select(cell, rings);
    if (cell !== undefined) {
      this.last = cell;
      this.cursor = undefined;
      this.hexagons.point(undefined);
      this.view.animate({
        center: hexagon(cell).center,
        resolution: Math.min(this.view.getResolution() ?? NEAR, NEAR),
        duration: duration(450),
      });
    }
  }

  zoomBy(levels: number): void {
    this.view.animate({ zoom: (this.view.getZoom() ?? 0) + levels, duration: duration(200) });
  }

  /** Shows where riders and drivers are. */
  goHome(milliseconds = 350): void {
    if (this.city === undefined) return;
    const busy = busyExtent(this.cells);
    this.home ??= busy;
    const extent = busy ?? boundaryExtent(this.city);
    this.view.fit(extent, { duration: duration(milliseconds) });
  }

  focus(): void {
    this.target.focus({ preventScroll: true });
  }

  private cellAt(pixel: number[]): string | undefined {
    const point = this.map.getCoordinateFromPixel(pixel) as number[] | null;
    return point === null || this.city === undefined ? undefined : cellAt(point, this.city.resolution);
  }

  private pickAt(pixel: number[]): void {
    this.handler.pick(this.reportedAt(pixel));
  }

  private hover(pixel: number[] | undefined): void {
    const cell = pixel && this.reportedAt(pixel);
    this.target.style.cursor = cell === undefined ? "" : "pointer";
    this.cursor = undefined;
    this.hexagons.point(cell);
    this.handler.hover(cell, pixel ?? []);
  }

  private reportedAt(pixel: number[]): string | undefined {
    const cell = this.cellAt(pixel);
    return cell !== undefined && this.cells.has(cell) ? cell : undefined;
  }

  private press(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = DIRECTIONS[event.key];
    if (direction !== undefined) {
      event.preventDefault();
      this.moveCursor(direction);
    } else if (event.key === "Enter" && this.cursor !== undefined) {
      event.preventDefault();
      this.handler.pick(this.cursor);
    }
  }

  private moveCursor(degrees: number): void {
    if (this.city === undefined) return;
    const start = this.cursor ?? this.last;
    this.cursor = start === undefined ? this.middleCell(this.city) : neighbourTowards(start, degrees);
    this.hexagons.point(this.cursor);
    this.handler.visit(this.cursor);
    this.keepInView(hexagon(this.cursor).center);
  }

  private middleCell({ resolution }: City): string {
    return cellAt(this.view.getCenter() ?? [0, 0], resolution);
  }

  private keepInView(center: Point): void {
    const [x = 0, y = 0] = (this.map.getPixelFromCoordinate(center) as number[] | null) ?? [];
    const [width = 0, height = 0] = this.map.getSize() ?? [];
    const [top = 0, right = 0, bottom = 0, left = 0] = this.view.padding ?? [];
    const isVisible = x > left + EDGE && y > top + EDGE && x < width - right - EDGE && y < height - bottom - EDGE;
    if (!isVisible) this.view.animate({ center, duration: duration(200) });
  }
}

/** Where riders, drivers and raised prices are, without the few cells that are far from all others. */
function busyExtent(cells: ReadonlyMap<string, Row>): Extent | undefined {
  const busy = [...cells.values()].filter((row) => row.demand > 0 || row.supply > 0 || row.multiplier !== 1);
  if (busy.length === 0) return undefined;
  const centers = busy.map((row) => hexagon(row.cell).center);
  const [west, east] = spread(centers.map(([x]) => x));
  const [south, north] = spread(centers.map(([, y]) => y));
  return [west, south, east, north];
}

/** The values between which all but a few are, with some room. */
function spread(values: number[]): [number, number] {
  values.sort((a, b) => a - b);
  const last = values.length - 1;
  const [low = 0, high = 0] = [values[Math.floor(last * LEFT_OUT)], values[Math.ceil(last * (1 - LEFT_OUT))]];
  const room = Math.max((high - low) * ROOM, (MIN_SPAN - (high - low)) / 2);
  return [low - room, high + room];
}

function boundaryExtent({ boundary }: City): Extent {
  const rings = boundary.type === "Polygon" ? boundary.coordinates : boundary.coordinates.flat();
  return extentOf(rings.flat().map(project));
}

/** Animations last no time where the user wants none. */
function duration(milliseconds: number): number {
  return matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : milliseconds;
}
