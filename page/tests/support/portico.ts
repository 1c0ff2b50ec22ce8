// A server with a store of its own, and a relay before it that can fail on order.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, connect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { createInterface } from "node:readline";

const BINARY = process.env["PORTICO"] ?? join(import.meta.dirname, "../../../target/debug/portico");

/** Returns the start of a command that sees a tmpfs of so many MiB in a folder, in a mount namespace that ends with it. */
const onDisk = (mib: number, folder: string): string[] => [
  "unshare", "--user", "--map-root-user", "--mount", "--propagation", "private",
  "sh", "-c", `mount -t tmpfs -o size=${mib}m tmpfs "$0" && exec "$@"`, folder,
];

/** Returns why no small disk can be mounted here, if that is so. In CI the tests try, and fail. */
export function noDisk(): string | false {
  const [program = "", ...rest] = [...onDisk(1, tmpdir()), "true"];
  const works = process.env["CI"] || spawnSync(program, rest).status === 0;
  return works ? false : "no small disk can be mounted here";
}

/** A running `portico serve`. */
export class Portico {
  readonly folder = mkdtempSync(join(tmpdir(), "portico-page-"));
  #child: ChildProcess | null = null;
  #flags: string[];
  readonly #disk: number;
  port = 0;

  private constructor(flags: string[], disk: number) {
    this.#flags = flags;
    this.#disk = disk;
  }

  /** Starts a server. `disk` is the size in MiB of a disk of its own; 0 for that of the machine. */
  static async start({ tokens, flags = [], disk = 0 }: { tokens?: string[]; flags?: string[]; disk?: number } = {}): Promise<Portico> {
    const server = new Portico(flags, disk);
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
    const command = [BINARY, "serve", "--store", store, "--listen", listen, "--log", "warn", "--durability", "none", ...this.#flags];
    const [program = "", ...rest] = this.#disk ? [...onDisk(this.#disk, this.folder), ...command] : command;
    const child = spawn(program, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: process.env["PATH"] },
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
  /** Bytes that each connection still carries before it stands; null if nothing is held. */
  #hold: number | null = null;
  /** Continues the connections that stand. */
  #standing = new Set<() => void>();
  #stands: () => void = () => {};
  #holds = 0;
  /** Most bytes a second to the server, for all connections; 0 for no limit. */
  pace = 0;
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
    // Not localhost, which may be ::1 first, where another program may have the port.
    return `http://127.0.0.1:${this.port}`;
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
    const resume = () => void near.resume();
    let carried = 0;
    let held: number | null = null;
    this.#pairs.add(pair);
    const close = () => {
      this.#pairs.delete(pair);
      this.#standing.delete(resume);
      near.destroy();
      far.destroy();
    };
    far.on("error", close).on("close", close);
    near.on("error", close).on("close", close);
    far.pipe(near);
    near.on("data", (bytes) => {
      this.sent += bytes.length;
      const free = far.write(bytes);
      if (held !== this.#hold) [held, carried] = [this.#hold, 0];
      carried += bytes.length;
      if (held !== null && carried >= held) {
        near.pause();
        this.#standing.add(resume);
        this.#stands();
      } else if (this.pace) {
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

  /**
   * Lets each connection carry so many bytes from now on, and no more until `release`. Requests without much content pass.
   * Resolves when so many connections stand. What happens then does not depend on the speed of the machine.
   */
  hold(bytes: number, connections = 1): Promise<void> {
    this.release();
    // A new number each time, so that connections begin to count again.
    this.#hold = bytes + ++this.#holds / 1024;
    return new Promise((resolve) => {
      this.#stands = () => this.#standing.size >= connections && resolve();
    });
  }

  /** Lets everything pass. */
  release(): void {
    this.#hold = null;
    for (const resume of this.#standing) resume();
    this.#standing.clear();
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
