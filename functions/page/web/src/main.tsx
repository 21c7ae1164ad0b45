/** Starts the page: follows a city, and draws what changes once a frame. */
import { render } from "preact";
import { LiveCity } from "./model/live-city.ts";
import { App } from "./ui/app.tsx";

/** Ages are shown in seconds, also while the server is silent. */
const SECOND_MS = 1_000;

const root = document.getElementById("app");
if (root === null) throw new Error("index.html has no #app");
const initial = new URLSearchParams(location.search);

let changes = 0;
let isDue = false;
const live = new LiveCity(changed);

function changed(): void {
  changes += 1;
  draw();
}

function draw(): void {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    render(<App live={live} changes={changes} initial={initial} />, root as HTMLElement);
  });
}

root.textContent = "";
draw();
setInterval(draw, SECOND_MS);
void live.start(initial.get("city"));
