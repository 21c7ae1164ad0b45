/** The server's clock, as its messages show it: under `--speed N` it runs N times as fast as the browser's. */

/** Two readings this far apart show how fast the clock runs; readings that are closer are mostly jitter. */
const MIN_SPAN_MS = 800;
/** After this silence the clock is continued by its speed; before, each pulse sets it. */
const PULSE_MS = 1_500;

export class ServerClock {
  private server = 0;
  private local = 0;
  private speed = 1;

  /** Takes a reading of the server's clock, at a reading of the browser's, both in milliseconds. */
  observe(serverMs: number, localMs = performance.now()): void {
    const span = localMs - this.local;
    if (this.server > 0 && span >= MIN_SPAN_MS) this.speed = Math.max(1, Math.round((serverMs - this.server) / span));
    if (this.server > 0 && span < MIN_SPAN_MS && serverMs >= this.server) return;
    this.server = serverMs;
    this.local = localMs;
  }

  /** The server's time in milliseconds since the epoch; 0 before the first reading. */
  nowMs(localMs = performance.now()): number {
    const silence = localMs - this.local - PULSE_MS;
    return this.server + Math.max(0, silence) * this.speed;
  }
}
