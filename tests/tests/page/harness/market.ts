/** Events that tests send to a server without a feed. */
import assert from "node:assert/strict";
import type { Server } from "./server.ts";

/** Sends requests for rides, whose times let ticks close. */
export async function askForRides(
  server: Server,
  city: string,
  product: string,
  lat: number,
  lng: number,
  riders: number,
): Promise<void> {
  const now = await clockOf(server);
  const event = (i: number) => ({
    type: "ride_requested",
    id: `e${i}`,
    time: new Date(now).toISOString(),
    city,
    product,
    request_id: `${city}${product}${i}-${now}`,
    lat,
    lng,
  });
  const body = Array.from({ length: riders }, (_, i) => JSON.stringify(event(i))).join("\n");
  const response = await fetch(`${server.url}/v1/events`, {
    method: "POST",
    headers: { "content-type": "application/x-ndjson" },
    body,
  });
  assert.equal(response.status, 202);
  assert.deepEqual(((await response.json()) as { refused: unknown[] }).refused, []);
}

/** The server's clock, which runs ten times as fast as others, from a pulse of its stream. */
async function clockOf(server: Server): Promise<number> {
  const response = await fetch(`${server.url}/v1/stream`);
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = (await reader?.read()) ?? { done: true };
    if (done) throw new Error(`the stream ended: ${text}`);
    text += value;
    const now = /"now":"([^"]+)"/.exec(text)?.[1];
    if (now === undefined) continue;
    await reader?.cancel();
    return Date.parse(now);
  }
}
