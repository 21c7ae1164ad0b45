/**
 * One stream for all tabs of a browser. Over HTTP/1.1 a browser opens six connections to a host, so that a stream per tab
 * would block the sixth tab: the tab that holds a lock reads the stream and broadcasts its events to the others.
 */
import { EventStream, type Link, type StreamEvent } from "./event-stream.ts";

export interface SharedStreamHandler {
  event(event: StreamEvent): void;
  link(link: Link): void;
  /** Events may have been missed: the map has to be read again. */
  joined(): void;
}

type Message =
  | { kind: "who" }
  | { kind: "wants"; tab: string; city: string }
  | { kind: "left"; tab: string }
  | { kind: "event"; event: StreamEvent }
  | { kind: "link"; link: Link };

const NAME = "equilibrium-stream";
/** A tab that is hidden for this long leaves, and joins again when it is shown. */
const HIDDEN_MS = 60_000;

export class SharedStream {
  private readonly tab = crypto.randomUUID?.() ?? String(Math.random());
  private readonly channel = new BroadcastChannel(NAME);
  private city = "";
  /** Ends this tab's part: its place in the queue for the lock, or its reading of the stream. */
  private membership: AbortController | undefined;
  /** Whether this tab reads the stream. */
  private leads = false;
  private stream: EventStream | undefined;
  private url = "";
  private link: Link = "connecting";
  /** The city that each other tab shows, while this tab reads the stream. */
  private readonly wanted = new Map<string, string>();

  constructor(private readonly handler: SharedStreamHandler) {
    this.channel.onmessage = (message: MessageEvent<Message>) => this.receive(message.data);
    let timer: ReturnType<typeof setTimeout> | undefined;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      if (document.hidden) timer = setTimeout(() => this.leave(), HIDDEN_MS);
      else this.join();
    });
    addEventListener("pagehide", () => this.leave());
    addEventListener("pageshow", (event) => event.persisted && this.join());
  }

  /** Receives the events of this city from now on. */
  watch(city: string): void {
    this.city = city;
    if (this.membership === undefined) {
      this.join();
      return;
    }
    this.handler.joined();
    this.send({ kind: "wants", tab: this.tab, city });
    this.reopen();
  }

  private join(): void {
    if (this.membership !== undefined || this.city === "") return;
    this.membership = new AbortController();
    const { signal } = this.membership;
    this.handler.joined();
    this.send({ kind: "wants", tab: this.tab, city: this.city });
    if (navigator.locks === undefined) {
      // Not a secure context: this tab reads a stream of its own.
      this.lead();
      return;
    }
    const lead = () => {
      this.lead();
      return new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    };
    navigator.locks.request(NAME, { signal }, lead).catch(() => {
      // Left before the lock was granted.
    });
  }

  private leave(): void {
    if (this.membership === undefined) return;
    this.membership.abort();
    this.membership = undefined;
    this.leads = false;
    this.stream?.close();
    this.stream = undefined;
    this.url = "";
    this.wanted.clear();
    this.send({ kind: "left", tab: this.tab });
  }

  private lead(): void {
    this.leads = true;
    this.send({ kind: "who" });
    this.reopen();
  }

  /** Opens the stream of the cities that the tabs show, unless it is open. */
  private reopen(): void {
    if (!this.leads) return;
    const cities = new Set([this.city, ...this.wanted.values()]);
    const url = cities.size === 1 ? `/v1/stream?city=${encodeURIComponent(this.city)}` : "/v1/stream";
    if (url === this.url) return;
    const position = this.stream?.position;
    this.stream?.close();
    this.url = url;
    const handler = { event: (event: StreamEvent) => this.share(event), link: (link: Link) => this.shareLink(link) };
    this.stream = new EventStream(url, handler, position);
  }

  private share(event: StreamEvent): void {
    this.send({ kind: "event", event });
    this.handler.event(event);
  }

  private shareLink(link: Link): void {
    this.link = link;
    this.send({ kind: "link", link });
    this.handler.link(link);
  }

  private receive(message: Message): void {
    if (this.membership === undefined) return;
    if (message.kind === "event") this.handler.event(message.event);
    else if (message.kind === "link") this.handler.link(message.link);
    else if (message.kind === "who") this.send({ kind: "wants", tab: this.tab, city: this.city });
    else if (this.leads) this.count(message);
  }

  /** Follows what another tab shows. */
  private count(message: Extract<Message, { tab: string }>): void {
    if (message.kind === "wants") this.wanted.set(message.tab, message.city);
    else this.wanted.delete(message.tab);
    this.send({ kind: "link", link: this.link });
    this.reopen();
  }

  private send(message: Message): void {
    this.channel.postMessage(message);
  }
}
