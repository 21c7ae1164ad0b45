/**
 * A layer that paints itself on a canvas a little larger than the map, and moves that canvas by a CSS transform while the
 * map is panned: painting for each frame halves the frame rate where the browser has no GPU.
 */
import type { FrameState } from "ol/Map.js";
import ViewHint from "ol/ViewHint.js";
import Layer from "ol/layer/Layer.js";
import type { Theme } from "./palette.ts";

/** How far the canvas reaches over each edge of the map, as a share of the map. */
const MARGIN = 0.15;
/** While a zoom is animated the canvas is scaled within these limits. */
const [MIN_SCALE, MAX_SCALE] = [0.75, 1.6];

/** From the map's projection to the pixels of the canvas. */
export interface Sheet {
  x(projected: number): number;
  y(projected: number): number;
  width: number;
  height: number;
  /** Metres of the projection in a pixel. */
  resolution: number;
  pixelRatio: number;
}

interface Painted {
  x: number;
  y: number;
  resolution: number;
  width: number;
  height: number;
}

export abstract class PaintedLayer extends Layer {
  protected theme: Theme = "light";
  private readonly element = document.createElement("div");
  private readonly canvas = document.createElement("canvas");
  private isStale = true;
  private painted: Painted | undefined;

  constructor(name: string) {
    super({ className: name });
    this.element.className = `painted ${name}`;
    this.element.append(this.canvas);
  }

  /** Paints what is visible. */
  protected abstract paint(context: CanvasRenderingContext2D, sheet: Sheet): void;

  /** Paints again at the next frame. */
  repaint(): void {
    this.isStale = true;
    this.changed();
  }

  wear(theme: Theme): void {
    this.theme = theme;
    this.repaint();
  }

  override render(frame: FrameState): HTMLElement {
    if (!this.move(frame)) this.paintAnew(frame);
    return this.element;
  }

  /** Moves the canvas to where it belongs now; false if it has to be painted again. */
  private move({ size: [width = 0, height = 0], viewState, viewHints }: FrameState): boolean {
    const last = this.painted;
    if (last === undefined || this.isStale || last.width !== width || last.height !== height) return false;
    const [x = 0, y = 0] = viewState.center;
    const [dx, dy] = [(last.x - x) / viewState.resolution, (y - last.y) / viewState.resolution];
    if (Math.abs(dx) > MARGIN * width || Math.abs(dy) > MARGIN * height) return false;
    const scale = last.resolution / viewState.resolution;
    const isMoving = (viewHints[ViewHint.ANIMATING] ?? 0) > 0 || (viewHints[ViewHint.INTERACTING] ?? 0) > 0;
    if (scale !== 1 && !(isMoving && scale > MIN_SCALE && scale < MAX_SCALE)) return false;
    this.canvas.style.transform = `translate(${dx}px, ${dy}px) scale(${scale})`;
    return true;
  }

  private paintAnew({ size: [viewWidth = 0, viewHeight = 0], viewState, pixelRatio }: FrameState): void {
    const [centerX = 0, centerY = 0] = viewState.center;
    const { resolution } = viewState;
    const [width, height] = [Math.round(viewWidth * (1 + 2 * MARGIN)), Math.round(viewHeight * (1 + 2 * MARGIN))];
    this.fit(width, height, viewWidth, viewHeight, pixelRatio);
    const context = this.canvas.getContext("2d");
    if (context === null) return;
    context.setTransform(pixelRatio, 0, 0, pixelRatio, 0, 0);
    context.clearRect(0, 0, width, height);
    this.paint(context, {
      x: (projected) => (projected - centerX) / resolution + width / 2,
      y: (projected) => (centerY - projected) / resolution + height / 2,
      width,
      height,
      resolution,
      pixelRatio,
    });
    this.isStale = false;
    this.painted = { x: centerX, y: centerY, resolution, width: viewWidth, height: viewHeight };
  }

  private fit(width: number, height: number, viewWidth: number, viewHeight: number, pixelRatio: number): void {
    const { canvas } = this;
    if (canvas.width !== Math.round(width * pixelRatio) || canvas.height !== Math.round(height * pixelRatio)) {
      canvas.width = Math.round(width * pixelRatio);
      canvas.height = Math.round(height * pixelRatio);
    }
    const [left, top] = [(viewWidth - width) / 2, (viewHeight - height) / 2];
    Object.assign(canvas.style, {
      width: `${width}px`,
      height: `${height}px`,
      left: `${left}px`,
      top: `${top}px`,
      transform: "",
    });
  }
}
