/** One connection to `GET /v1/stream`, opened again whenever it ends: server-sent events, read by `fetch`. */

export interface StreamEvent {
  id: string;
  type: string;
  data: string;
}

/** `lost`: the last attempt failed, or nothing came for too long. */
export type Link = "connecting" | "open" | "lost";

export interface StreamHandler {
  event(event: StreamEvent): void;
  link(link: Link): void;
}

/** The server sends a pulse each second and a comment every 10 s: after this silence the connection is dead. */
const MAX_SILENCE_MS = 25_000;
/** The wait after the first attempt that fails doubles up to the longest. The contract's `retry` is 1 s. */
const SHORTEST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;
/** A stream that ends, as when the server restarts, is opened again almost at once. */
const WAIT_AFTER_END_MS = 300;

export class EventStream {
  private readonly stop = new AbortController();
  private lastId = "";
  private failures = 0;

  constructor(
    private readonly url: string,
    private readonly handler: StreamHandler,
    lastId = "",
  ) {
    this.lastId = lastId;
    void this.run();
  }

  /** The id of the last event, for a stream that continues this one. */
  get position(): string {
    return this.lastId;
  }

  close(): void {
    this.stop.abort();
  }

  private async run(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        await this.readToEnd();
      } catch {
        if (this.stop.signal.aborted) return;
        this.failures += 1;
      }
      if (this.stop.signal.aborted) return;
      this.handler.link(this.failures > 0 ? "lost" : "connecting");
      await this.wait();
    }
  }

  private async readToEnd(): Promise<void> {
    const silence = new AbortController();
    let timer = setTimeout(() => silence.abort(), MAX_SILENCE_MS);
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.lastId !== "") headers["last-event-id"] = this.lastId;
    try {
      const signal = AbortSignal.any([this.stop.signal, silence.signal]);
      const response = await fetch(this.url, { headers, cache: "no-store", signal });
      if (!response.ok || response.body === null) throw new Error(`${this.url}: ${response.status}`);
      this.failures = 0;
      this.handler.link("open");
      // Nothing names the run that this stream continues: the map may be of another one, whose versions look alike.
      if (this.lastId === "") this.handler.event({ id: "", type: "reload", data: "" });
      const parser = new EventParser((event) => this.receive(event));
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), MAX_SILENCE_MS);
        parser.push(value);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  private receive(event: StreamEvent): void {
    this.lastId = event.id;
    this.handler.event(event);
  }

  /** Waits, a random time each, so that the clients of a restarted server do not return at one instant. */
  private wait(): Promise<void> {
    const longest =
      this.failures === 0 ? WAIT_AFTER_END_MS : Math.min(SHORTEST_WAIT_MS * 2 ** (this.failures - 1), LONGEST_WAIT_MS);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, longest * (0.5 + Math.random() / 2));
      this.stop.signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

/** Takes a stream's text in pieces and hands out its events (HTML Standard §9.2.6). */
export class EventParser {
  private rest = "";
  private id = "";
  private type = "";
  private data: string[] = [];

  constructor(private readonly emit: (event: StreamEvent) => void) {}

  push(text: string): void {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) this.line(line);
  }

  private line(line: string): void {
    if (line === "") {
      if (this.data.length > 0) this.emit({ id: this.id, type: this.type || "message", data: this.data.join("\n") });
      this.type = "";
      this.data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.data.push(value);
    else if (field === "event") this.type = value;
    else if (field === "id") this.id = value;
  }
}
