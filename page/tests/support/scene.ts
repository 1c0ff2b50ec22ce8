// A server, a network, a browser: what a test plays in. At its end nothing may have been wrong that the test did not expect:
// no error on the console, no violation of the policy, no request to another origin.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdirSync, openSync, closeSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { readFileSync } from "node:fs";
import { after } from "node:test";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Locator, type Page } from "playwright-core";
import { Portico, Relay } from "./portico.js";

/** How long anything may take. Generous, because the machine may be busy. */
export const PATIENCE = 120_000;

let browser: Browser | null = null;

async function launched(): Promise<Browser> {
  browser ??= await chromium.launch({ executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  return browser;
}

after(async () => {
  await browser?.close();
});

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** A file, as the server lists it. */
export interface Stored {
  file_id: string;
  original_filename: string;
  size_bytes: number;
  sha256: string;
  created_at: string;
}

interface Options {
  tokens?: string[];
  flags?: string[];
  disk?: number;
  context?: BrowserContextOptions;
}

export class Scene {
  readonly #wrong: string[] = [];
  readonly #allowed: RegExp[] = [];

  constructor(
    readonly portico: Portico,
    readonly relay: Relay,
    readonly context: BrowserContext,
  ) {}

  /** Expects a kind of message on the console, such as those of a network that was cut. */
  allow(...patterns: RegExp[]): void {
    this.#allowed.push(...patterns);
  }

  /** Opens the page in a new tab. */
  async open(path = "/"): Promise<Page> {
    const page = await this.context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("console", (message) => {
      const text = `${message.type()}: ${message.text()} (${message.location().url})`;
      if (["error", "warning"].includes(message.type())) this.#wrong.push(text);
    });
    page.on("pageerror", (error) => this.#wrong.push(`exception: ${error.stack ?? error.message}`));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== this.relay.origin && !["data:", "blob:"].includes(url.protocol)) this.#wrong.push(`request: ${url}`);
    });
    page.on("dialog", (dialog) => void dialog.accept().catch(() => {}));
    await page.exposeFunction("violated", (text: string) => this.#wrong.push(`policy: ${text}`));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        const { violatedDirective, blockedURI, sample } = event;
        (window as unknown as { violated(text: string): void }).violated(`${violatedDirective} ${blockedURI} ${sample}`);
      });
    });
    await page.goto(this.relay.origin + path);
    return page;
  }

  /** Writes a file of random content beside the store, and returns its path. */
  file(name: string, size: number): string {
    const path = join(this.portico.folder, "local", name);
    mkdirSync(dirname(path), { recursive: true });
    const file = openSync(path, "w");
    for (let left = size; left > 0; left -= 1 << 20) writeSync(file, randomBytes(Math.min(left, 1 << 20)));
    closeSync(file);
    return path;
  }

  /** Drops files and folders of the disk on the page, as a file manager does. */
  async drop(page: Page, paths: string[]): Promise<void> {
    const session = await this.context.newCDPSession(page);
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const) {
      await session.send("Input.dispatchDragEvent", { type, x: 200, y: 200, data });
    }
    await session.detach();
  }

  /** Lists what the server has. */
  async stored(token?: string): Promise<Stored[]> {
    const all: Stored[] = [];
    let after: string | null = null;
    do {
      const query: string = after === null ? "" : `&after=${encodeURIComponent(after)}`;
      const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
      const response = await fetch(`http://127.0.0.1:${this.portico.port}/files?limit=1000${query}`, { headers });
      assert.equal(response.status, 200);
      const page = (await response.json()) as { files: typeof all; next: string | null };
      all.push(...page.files);
      after = page.next;
    } while (after !== null);
    return all;
  }

  finish(): void {
    const wrong = this.#wrong.filter((text) => !this.#allowed.some((pattern) => pattern.test(text)));
    assert.deepEqual(wrong, [], "errors of the page");
  }
}

/** Plays a test in a scene of its own. */
export async function scene(options: Options, play: (scene: Scene) => Promise<void>): Promise<void> {
  const portico = await Portico.start(options);
  const relay = await Relay.start(() => portico.port);
  const context = await (await launched()).newContext({ locale: "en-GB", ...options.context });
  try {
    const it = new Scene(portico, relay, context);
    await play(it);
    it.finish();
  } finally {
    await context.close();
    await relay.end();
    await portico.end();
  }
}

export async function digestOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest("hex");
}

/** Returns the row of a file in the list of that view. */
export function row(page: Page, name: string): Locator {
  return page.getByRole("listitem").filter({ hasText: name });
}

/** Waits until a row says something. */
export async function says(row: Locator, text: string | RegExp): Promise<void> {
  try {
    await row.filter({ hasText: text }).first().waitFor();
  } catch (error) {
    throw new Error(`${text} expected, found: ${(await row.allInnerTexts()).join("\n")}`, { cause: error });
  }
}

/** Runs axe on the current view, and expects nothing. */
export async function accessible(page: Page, view: string): Promise<void> {
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const rules = { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] };
    const result = await (window as unknown as { axe: { run(where: Document, rules: object): Promise<{ violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] }> } }).axe.run(document, rules);
    return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n")}`);
  });
  assert.deepEqual(found, [], `axe on ${view}`);
}
