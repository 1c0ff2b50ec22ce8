// Measures the page beside curl on the same server: `make bench-page`. The figures are ratios of medians of runs side by side,
// because a machine that does other things too is as slow for both.
import { execFileSync } from "node:child_process";
import { closeSync, ftruncateSync, openSync, utimesSync } from "node:fs";
import { test } from "node:test";
import type { CDPSession, Page } from "playwright-core";
import { pretend } from "./support/pretend.js";
import { PATIENCE, row, type Scene, says, scene } from "./support/scene.js";

const MIB = 1 << 20;

/** The size of the large file. */
const LARGE = Number(process.env["MIB"] ?? 1024) * MIB;

const ROUNDS = 5;

/** Pieces of a file that are sent at once, beside the page, which sends one. */
const STREAMS = 3;

const median = (values: number[]): number => values.sort((one, other) => one - other)[values.length >> 1] as number;

/** Opens the page without the relay of the tests, which would be measured too. */
async function open(scene: Scene): Promise<Page> {
  const page = await scene.context.newPage();
  page.setDefaultTimeout(10 * PATIENCE);
  await page.goto(`http://127.0.0.1:${scene.portico.port}/`);
  await page.getByRole("heading", { name: "Send files" }).waitFor();
  return page;
}

/** Makes a file without content, which takes no room here. */
function sparse(scene: Scene, name: string, size: number): string {
  const path = scene.file(name, 0);
  const file = openSync(path, "w");
  ftruncateSync(file, size);
  closeSync(file);
  return path;
}

/** Sends a file by `streams` calls of `fetch` at once, a piece each. Returns the milliseconds. */
async function bare(page: Page, path: string, streams = 1): Promise<number> {
  const input = await page.evaluateHandle(() => {
    const input = document.createElement("input");
    input.type = "file";
    document.body.append(input);
    return input;
  });
  await input.setInputFiles(path);
  const start = performance.now();
  await input.evaluate(async (input, streams) => {
    const file = input.files?.[0] ?? new Blob();
    const piece = Math.ceil(file.size / streams);
    const sent = Array.from({ length: streams }, async (_, at) => {
      const body = file.slice(at * piece, (at + 1) * piece);
      const response = await fetch(`/files/bare-${at}.bin`, { method: "PUT", body });
      if (!response.ok) throw new Error(`status ${response.status}`);
    });
    await Promise.all(sent);
    input.remove();
  }, streams);
  return performance.now() - start;
}

/** Returns the bytes of the script's heap after a collection. */
async function heap(session: CDPSession): Promise<number> {
  await session.send("HeapProfiler.collectGarbage");
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === "JSHeapUsedSize")?.value ?? 0;
}

const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;

test("rate", async () => {
  await scene({}, async (scene) => {
    const path = scene.file("large.bin", LARGE);
    const page = await open(scene);
    const [curl, own, fetched, pieces]: [number[], number[], number[], number[]] = [[], [], [], []];
    for (let round = 0; round <= ROUNDS; round++) {
      let start = performance.now();
      execFileSync("curl", ["-sSf", "-o", "/dev/null", "-T", path, `http://127.0.0.1:${scene.portico.port}/files/large.bin`]);
      const alone = performance.now() - start;
      // Another time makes it another file, which the page has not sent yet.
      utimesSync(path, new Date(), new Date(1_700_000_000_000 + round * 1000));
      start = performance.now();
      await page.setInputFiles("#pick-files", path);
      await says(row(page, "large.bin"), "Arrived whole");
      const paged = performance.now() - start;
      const alike = await bare(page, path);
      const split = await bare(page, path, STREAMS);
      await page.getByRole("button", { name: "Clear finished" }).click();
      // Keeps the disk from filling.
      for (const { file_id } of await scene.stored()) await fetch(`http://127.0.0.1:${scene.portico.port}/files/${file_id}`, { method: "DELETE" });
      if (round === 0) continue; // The caches are warm from here on.
      curl.push(alone);
      own.push(paged);
      fetched.push(alike);
      pieces.push(split);
      const seconds = [alone, paged, alike, split].map((time) => (time / 1000).toFixed(2));
      console.log(`round ${round}: curl -T ${seconds[0]} s, page ${seconds[1]} s, one fetch ${seconds[2]} s, ${STREAMS} at once ${seconds[3]} s`);
    }
    const [alone, paged, alike, split] = [median(curl), median(own), median(fetched), median(pieces)];
    console.log(`${mib(LARGE)}: curl -T ${(LARGE / MIB / alone * 1000).toFixed(0)} MiB/s, page ${(LARGE / MIB / paged * 1000).toFixed(0)} MiB/s, ratio ${(alone / paged).toFixed(2)}`);
    console.log(`one fetch of the same file: ${(LARGE / MIB / alike * 1000).toFixed(0)} MiB/s, page / fetch ${(alike / paged).toFixed(2)}`);
    console.log(`${STREAMS} pieces of it at once: ${(LARGE / MIB / split * 1000).toFixed(0)} MiB/s, ${(alike / split).toFixed(2)} of one fetch`);
  });
});

test("memory", async () => {
  await scene({}, async (scene) => {
    const page = await open(scene);
    const session = await scene.context.newCDPSession(page);
    await session.send("Performance.enable");
    const empty = await heap(session);
    // The store has it in full.
    const large = sparse(scene, "large.bin", LARGE);
    await page.setInputFiles("#pick-files", large);
    await says(row(page, "large.bin"), /[5-9]\d%/);
    const half = await heap(session);
    await says(row(page, "large.bin"), "Arrived whole");
    const sent = await heap(session);
    console.log(`heap: ${mib(empty)} at first, ${mib(half)} amid a file of ${mib(LARGE)}, ${mib(sent)} after it`);
    const start = performance.now();
    await scene.drop(page, Array.from({ length: 1_000 }, (_, index) => scene.file(`small/${index}.txt`, 1 + index)));
    await page.getByText("1,001 of 1,001 files").waitFor();
    console.log(`1,000 files in one drop: ${((performance.now() - start) / 1000).toFixed(1)} s, heap ${mib(await heap(session))}`);
  });
});

test("scrolling", async () => {
  await scene({}, async (scene) => {
    const page = await open(scene);
    await pretend(page, 10_000);
    await page.getByRole("link", { name: /^Files/ }).click();
    await page.getByText("10,000 files").waitFor();
    const frames = await page.evaluate(() => new Promise<number[]>((resolve) => {
      const times: number[] = [];
      let last = performance.now();
      const step = (now: number) => {
        times.push(now - last);
        last = now;
        scrollBy(0, 300);
        times.length < 600 ? requestAnimationFrame(step) : resolve(times);
      };
      requestAnimationFrame(step);
    }));
    const sorted = frames.slice(1).sort((one, other) => one - other);
    const at = (part: number) => (sorted[Math.floor((sorted.length - 1) * part)] as number).toFixed(1);
    const late = frames.filter((time) => time > 50).length;
    console.log(`scrolling 10,000 files: median frame ${at(0.5)} ms, 95 of 100 within ${at(0.95)} ms, longest ${at(1)} ms, ${late} of ${frames.length} over 50 ms`);
  });
});
