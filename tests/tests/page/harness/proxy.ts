/** A network between browser and server that can be cut, and that can lose events of the change stream. */
import { type IncomingMessage, type Server as HttpServer, type ServerResponse, createServer, request } from "node:http";
import type { AddressInfo, Socket } from "node:net";

export class Proxy {
  /** Requests so far, by method and path without the query. */
  readonly requests: string[] = [];
  /** Streams that are open now. */
  openStreams = 0;
  /** Events of the next ticks that get lost. */
  lost = 0;
  private isCut = false;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly http: HttpServer,
    public target: string,
  ) {}

  static async before(target: string): Promise<Proxy> {
    const http = createServer((incoming, outgoing) => proxy.forward(incoming, outgoing));
    const proxy = new Proxy(http, target);
    http.on("connection", (socket) => {
      if (proxy.isCut) socket.destroy();
      proxy.sockets.add(socket);
      socket.on("close", () => proxy.sockets.delete(socket));
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`;
  }

  /** Ends all connections, and refuses others until `mend`. */
  cut(): void {
    this.isCut = true;
    this.sockets.forEach((socket) => socket.destroy());
  }

  mend(): void {
    this.isCut = false;
  }

  countOf(path: string): number {
    return this.requests.filter((known) => known === `GET ${path}`).length;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.http.close(resolve));
  }

  private forward(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const { method = "GET", url = "/" } = incoming;
    this.requests.push(`${method} ${url.split("?")[0]}`);
    const headers = { ...incoming.headers, host: new URL(this.target).host };
    const onward = request(this.target + url, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      if (answer.headers["content-type"]?.startsWith("text/event-stream")) this.passEvents(answer, outgoing);
      else answer.pipe(outgoing);
      answer.on("error", () => outgoing.destroy());
    });
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    incoming.pipe(onward);
  }

  private passEvents(answer: IncomingMessage, outgoing: ServerResponse): void {
    this.openStreams += 1;
    outgoing.on("close", () => (this.openStreams -= 1));
    answer.on("end", () => outgoing.end());
    let rest = "";
    answer.setEncoding("utf8").on("data", (text: string) => {
      const events = (rest + text).split("\n\n");
      rest = events.pop() ?? "";
      for (const event of events) {
        if (this.lost > 0 && event.includes("event: surge_changed")) this.lost -= 1;
        else outgoing.write(`${event}\n\n`);
      }
    });
  }
}
