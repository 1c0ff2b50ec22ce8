// The examples of pages from another origin, against a portal that allows it and wants a token.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { digestOf, PATIENCE, type Scene, scene } from "./support/scene.js";

const EXAMPLES = join(import.meta.dirname, "../../../examples/page-elsewhere");
const TOKEN = "first-token-0123456789abcdefghij";
const MIB = 1 << 20;
const TYPES: { [extension: string]: string } = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

/** Serves an example from an origin of its own while a test plays. */
async function elsewhere(folder: string, play: (scene: Scene, page: Page, wrong: string[]) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    const name = request.url === "/" ? "index.html" : (request.url ?? "").slice(1);
    const path = join(EXAMPLES, folder, name);
    if (!/^[\w.-]+$/.test(name) || !existsSync(path)) return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "text/plain" }).end(readFileSync(path));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const origin = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  try {
    await scene({ tokens: [TOKEN], flags: ["--cors-origins", origin] }, async (scene) => {
      const page = await scene.context.newPage();
      page.setDefaultTimeout(PATIENCE);
      const wrong: string[] = [];
      page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
      page.on("pageerror", (error) => wrong.push(error.message));
      await page.goto(origin);
      await page.getByLabel("Portal").fill(scene.relay.origin);
      await page.getByLabel("Portal").blur();
      await play(scene, page, wrong);
    });
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

async function arrived(scene: Scene, path: string): Promise<void> {
  const stored = await scene.stored(TOKEN);
  assert.deepEqual(stored.map((file) => [file.original_filename, file.sha256]), [["elsewhere.bin", await digestOf(path)]]);
}

test("plain fetch sends a file through a network that is cut", async () => {
  await elsewhere("fetch", async (scene, page, wrong) => {
    const path = scene.file("elsewhere.bin", 40 * MIB);
    await page.getByLabel("Token").fill(TOKEN);
    await page.setInputFiles("#file", path);
    const half = scene.relay.hold(20 * MIB);
    await page.getByRole("button", { name: "Send" }).click();
    await half;
    scene.relay.cut();
    await new Promise<void>((resolve) => page.once("requestfailed", () => resolve()));
    scene.relay.release();
    scene.relay.restore();
    await page.getByText("Sent: ").waitFor();
    await arrived(scene, path);
    assert.deepEqual(wrong.filter((text) => !/net::ERR_/.test(text)), []);
  });
});

test("plain fetch says that a token is refused", async () => {
  await elsewhere("fetch", async (scene, page) => {
    await page.getByLabel("Token").fill(`${TOKEN}x`);
    await page.setInputFiles("#file", scene.file("elsewhere.bin", 1));
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText(/^Failed: POST .*: 401$/).waitFor();
    assert.deepEqual(await scene.stored(TOKEN), []);
  });
});

test("Uppy sends a file", async () => {
  await elsewhere("uppy/dist", async (scene, page, wrong) => {
    const path = scene.file("elsewhere.bin", 20 * MIB);
    await page.getByLabel("Token").fill(TOKEN);
    await page.locator("input[type=file]").first().setInputFiles(path);
    await page.getByRole("button", { name: /^Upload 1 file/ }).click();
    await page.getByText("Complete", { exact: true }).waitFor();
    await arrived(scene, path);
    assert.deepEqual(wrong, []);
  });
});
