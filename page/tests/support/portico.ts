// A server with a store of its own, and a relay before it that can fail on order.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { createInterface } from "node:readline";

const BINARY = process.env["PORTICO"] ?? join(import.meta.dirname, "../../../target/debug/portico");

/** A running `portico serve`. */
export class Portico {
  readonly folder = mkdtempSync(join(tmpdir(), "portico-page-"));
  #child: ChildProcess | null = null;
  #flags: string[];
  port = 0;

  private constructor(flags: string[]) {
    this.#flags = flags;
  }

  static async start({ tokens, flags = [] }: { tokens?: string[]; flags?: string[] } = {}): Promise<Portico> {
    const server = new Portico(flags);
    if (tokens) server.setTokens(tokens);
    await server.run();
    return server;
  }

  /** Writes the token file; a restart reads it. */
  setTokens(tokens: string[]): void {
    const path = join(this.folder, "tokens");
    writeFileSync(path, `${tokens.join("\n")}\n`, { mode: 0o600 });
    if (!this.#flags.includes("--token-file")) this.#flags.push("--token-file", path);
  }

  /** Starts the process, on the same port as before. */
  async run(): Promise<void> {
    const listen = `127.0.0.1:${this.port}`;
    const store = `file:${join(this.folder, "store")}`;
    const child = spawn(BINARY, ["serve", "--store", store, "--listen", listen, "--log", "warn", "--durability", "none", ...this.#flags], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {},
    });
    this.#child = child;
    const stop = () => void child.kill("SIGKILL");
    process.once("exit", stop);
    child.once("exit", () => process.off("exit", stop));
    let said = "";
    child.stderr?.on("data", (text) => (said += text));
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const [line] = (await Promise.race([once(lines, "line"), once(child, "exit").then(() => [`ended: ${said}`])])) as [string];
    const found = /^listening on http:\/\/.*:(\d+)$/.exec(line);
    if (!found) throw new Error(`portico did not start: ${line}`);
    this.port = Number(found[1]);
  }

  /** Ends the process as a crash would. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  async end(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A TCP relay: the network between the browser and the server. */
export class Relay {
  readonly #pairs = new Set<[Socket, Socket]>();
  readonly #server: Server;
  #open = true;
  /** Returns the port that connections go to. */
  target: () => number;
  /** Bytes that went to the server. */
  sent = 0;
  /** Most bytes a second to the server, for all connections; 0 for no limit. */
  pace = 0;
  /** Called with each total of bytes that went to the server. */
  onsent: (sent: number) => void = () => {};
  /** Answers each connection with these bytes, as a broken proxy would; empty to relay. */
  answer = "";

  private constructor(target: () => number) {
    this.target = target;
    this.#server = createServer({ pauseOnConnect: true }, (near) => this.#accept(near));
  }

  static async start(target: () => number): Promise<Relay> {
    const relay = new Relay(target);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get origin(): string {
    return `http://localhost:${this.port}`;
  }

  #accept(near: Socket): void {
    near.on("error", () => {});
    if (!this.#open) {
      near.resetAndDestroy();
      return;
    }
    if (this.answer) {
      near.resume();
      near.once("data", () => near.end(this.answer));
      return;
    }
    const far = connect(this.target(), "127.0.0.1");
    const pair: [Socket, Socket] = [near, far];
    this.#pairs.add(pair);
    const close = () => {
      this.#pairs.delete(pair);
      near.destroy();
      far.destroy();
    };
    far.on("error", close).on("close", close);
    near.on("error", close).on("close", close);
    far.pipe(near);
    near.on("data", (bytes) => {
      this.sent += bytes.length;
      const free = far.write(bytes);
      this.onsent(this.sent);
      if (this.pace) {
        near.pause();
        setTimeout(() => near.resume(), (bytes.length / this.pace) * 1000);
      } else if (!free) {
        near.pause();
        far.once("drain", () => near.resume());
      }
    });
    near.on("end", () => far.end());
    near.resume();
  }

  /** Ends all connections and refuses new ones. */
  cut(): void {
    this.#open = false;
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  restore(): void {
    this.#open = true;
  }

  async end(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }
}
