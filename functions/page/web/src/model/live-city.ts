/** Keeps the shown city up to date: reads its map, follows the stream, reads the map again after a gap. */
import * as api from "../api.ts";
import type { City, CitySummary, Feed, Mode, Pulse, SurgeChanged } from "../api.ts";
import type { Link, StreamEvent } from "../stream/event-stream.ts";
import { SharedStream } from "../stream/shared-stream.ts";
import { CityState } from "./city-state.ts";
import { ServerClock } from "./server-clock.ts";

/** Wait before a map that could not be read is tried again. */
const RETRY_MS = 2_000;

export class LiveCity {
  cities: CitySummary[] = [];
  state: CityState | undefined;
  link: Link = "connecting";
  readonly clock = new ServerClock();

  private readonly stream: SharedStream;
  private id = "";
  /** The run of the server that versions belong to, from the ids of events. */
  private run: string | undefined;
  /** Events that came while the map was being read; undefined while it is not. */
  private held: SurgeChanged[] | undefined;
  private readAgain = false;

  /** `changed` is called after each change of what can be shown. */
  constructor(private readonly changed: () => void) {
    this.stream = new SharedStream({
      event: (event) => this.receive(event),
      link: (link) => this.setLink(link),
      joined: () => this.read(),
    });
  }

  /** Lists the cities and shows one of them: `preferred`, if there is such a city. */
  async start(preferred: string | null): Promise<void> {
    while (this.cities.length === 0) {
      this.cities = await api.cities().catch(() => []);
      if (this.cities.length === 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    const first = this.cities.find(({ city }) => city === preferred) ?? this.cities[0];
    if (first !== undefined) this.show(first.city);
  }

  show(city: string): void {
    this.id = city;
    this.state = undefined;
    this.changed();
    this.stream.watch(city);
  }

  /** Reads the city's map; events that come meanwhile wait for it. */
  private read(): void {
    if (this.id === "") return;
    if (this.held !== undefined) {
      this.readAgain = true;
      return;
    }
    this.held = [];
    void this.readNow(this.id);
  }

  private async readNow(id: string): Promise<void> {
    try {
      const known = this.state?.city;
      const [city, map] = await Promise.all([known ?? api.city(id), api.surgeMap(id)]);
      if (id === this.id) this.take(city, map);
      else this.readAgain = true;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      this.readAgain = true;
    }
    const held = this.held ?? [];
    this.held = undefined;
    if (this.readAgain) {
      this.readAgain = false;
      this.read();
      return;
    }
    held.forEach((change) => this.apply(change));
    this.changed();
  }

  private take(city: City, map: api.SurgeMap): void {
    // A server that was restarted may have an earlier clock: what was before belongs to another time.
    const isEarlier = map.as_of !== null && Date.parse(map.as_of) < (this.state?.asOfMs ?? 0);
    if (this.state === undefined || isEarlier) this.state = new CityState(city);
    if (map.as_of !== null && map.age_ms !== null) this.clock.observe(Date.parse(map.as_of) + map.age_ms);
    this.state.replace(map, this.clock.nowMs());
  }

  private setLink(link: Link): void {
    this.link = link;
    this.changed();
  }

  private receive({ id, type, data }: StreamEvent): void {
    if (this.link !== "open") this.link = "open";
    const content: unknown = data === "" ? {} : JSON.parse(data);
    const isOfCity = (content as { city?: string }).city === this.id;
    if (type === "pulse") this.clock.observe(Date.parse((content as Pulse).now));
    else if (type === "reload") this.read();
    else if (type === "surge_changed" && isOfCity) this.takeChange(content as SurgeChanged, id);
    else if (type === "mode_changed" && isOfCity) this.takeMode((content as { mode: Mode }).mode);
    else if (type === "feed_changed" && isOfCity) this.takeFeed((content as { feed: Feed }).feed);
    this.changed();
  }

  private takeChange(change: SurgeChanged, id: string): void {
    const run = id.split(".")[0];
    const isOtherRun = this.run !== undefined && run !== this.run;
    this.run = run;
    this.clock.observe(Date.parse(change.now));
    if (isOtherRun) this.read();
    else if (this.held !== undefined) this.held.push(change);
    else this.apply(change);
  }

  private apply(change: SurgeChanged): void {
    if (change.city !== this.state?.city.city) return;
    const bounds = this.state.products.get(change.product)?.bounds;
    if (this.state.apply(change) === "gap") this.read();
    else if (bounds !== undefined && change.bounds > bounds) void this.readPolicy();
  }

  /** Limits or the rule have changed: what explains prices is read again. */
  private async readPolicy(): Promise<void> {
    const city = await api.city(this.id).catch(() => undefined);
    if (city === undefined || city.city !== this.state?.city.city) return;
    const hasSameProducts = String(city.products) === String(this.state.city.products);
    if (hasSameProducts) this.state.city = city;
    else this.state = new CityState(city);
    this.read();
  }

  /** The fallback of another mode has other multipliers. */
  private takeMode(mode: Mode): void {
    if (this.state === undefined || this.state.mode === mode) return;
    this.state.mode = mode;
    this.read();
  }

  private takeFeed(feed: Feed): void {
    if (this.state !== undefined) this.state.feed = feed;
  }
}
