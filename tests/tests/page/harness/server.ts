/** A running `equilibrium serve`. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const TARGET = process.env["CARGO_TARGET_DIR"] ?? `${ROOT}target`;

/** The program under test. */
const PROGRAM = process.env["EQUILIBRIUM_PROGRAM"] ?? `${TARGET}/debug/equilibrium`;

/** Where pictures of the tests are kept. */
export const PICTURES = `${TARGET}/page-pictures`;

export class Server {
  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
  ) {}

  /** Starts a server on a free port. */
  static async start(...parameters: string[]): Promise<Server> {
    const child = spawn(PROGRAM, ["--port", "0", ...parameters], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    // A test that fails leaves nothing running.
    process.on("exit", () => child.kill());
    let output = "";
    const url = await new Promise<string>((resolve, reject) => {
      const read = (text: Buffer) => {
        output += text.toString();
        const found = /on (http:\S+)/.exec(output)?.[1];
        if (found !== undefined) resolve(found);
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
      child.on("error", reject);
      child.on("exit", (code) => reject(new Error(`the server exited with ${code}: ${output}`)));
    });
    return new Server(child, url);
  }

  async json<T>(path: string): Promise<T> {
    const response = await fetch(this.url + path);
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return (await response.json()) as T;
  }

  async stop(): Promise<void> {
    if (this.process.exitCode !== null) return;
    const exited = once(this.process, "exit");
    this.process.kill("SIGTERM");
    await exited;
  }
}
