/** The colours of the map. A multiplier's lightness moves steadily away from the ground's, for any colour vision. */

export type Theme = "light" | "dark";
type Rgb = [red: number, green: number, blue: number];

/** The multiplier that has the last colour, as those above it do. */
const LAST = 5;
/** The luminance from which black text has more contrast than white. */
const INK_LUMINANCE = 0.179;

const STOPS: Record<Theme, readonly string[]> = {
  light: ["#f9dfa6", "#f6b15f", "#ec7346", "#c9374f", "#8a1c5c", "#47104f"],
  dark: ["#4b2a5e", "#86307a", "#c63f68", "#f0704a", "#fbb254", "#fdeeb4"],
};

export interface Ground {
  farLand: string;
  land: string;
  park: string;
  airport: string;
  line: string;
  coast: string;
  name: string;
  /** The outline of names, and of rings around the selection. */
  halo: string;
  /** A hexagon at the base price. */
  quiet: string;
  selection: string;
  cursor: string;
}

export const GROUND: Record<Theme, Ground> = {
  light: {
    farLand: "#efece5",
    land: "#f9f7f2",
    park: "#e6ecdd",
    airport: "#eae7e2",
    line: "#dcd7cc",
    coast: "#c9c8c0",
    name: "#6f6a61",
    halo: "#fbf9f5",
    quiet: "rgba(40,32,20,.045)",
    selection: "#0b5bd3",
    cursor: "#1c1b1a",
  },
  dark: {
    farLand: "#191e24",
    land: "#20262d",
    park: "#1e2d28",
    airport: "#2a3038",
    line: "#2e353d",
    coast: "#39414b",
    name: "#949da6",
    halo: "#12161a",
    quiet: "rgba(255,255,255,.04)",
    selection: "#7cc0ff",
    cursor: "#ffffff",
  },
};

/** How opaque coloured hexagons are. */
export const OPACITY: Record<Theme, number> = { light: 0.9, dark: 0.94 };

/** Where a multiplier lies on the scale, from 0 to 1: by its logarithm, for ratios are what people compare. */
export function positionOf(multiplier: number): number {
  return Math.min(1, Math.max(0, Math.log(multiplier) / Math.log(LAST)));
}

function parse(hex: string): Rgb {
  const channel = (at: number) => Number.parseInt(hex.slice(at, at + 2), 16);
  return [channel(1), channel(3), channel(5)];
}

function mixed(multiplier: number, theme: Theme): Rgb {
  const stops = STOPS[theme];
  const place = positionOf(multiplier) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(place));
  const [from, to] = [parse(stops[i] ?? "#000000"), parse(stops[i + 1] ?? "#000000")];
  const channel = (k: 0 | 1 | 2) => Math.round(from[k] + (to[k] - from[k]) * (place - i));
  return [channel(0), channel(1), channel(2)];
}

export function colorOf(multiplier: number, theme: Theme): string {
  return `rgb(${mixed(multiplier, theme).join(",")})`;
}

/** The colour of text on a multiplier's colour. */
export function inkOn(multiplier: number, theme: Theme): string {
  const linear = mixed(multiplier, theme).map((value) => {
    const share = value / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const [red = 0, green = 0, blue = 0] = linear;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > INK_LUMINANCE ? "#000000" : "#ffffff";
}
