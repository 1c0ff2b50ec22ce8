// Uploads, and what can interrupt them.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { noDisk } from "./support/portico.js";
import { digestOf, row, type Scene, says, scene } from "./support/scene.js";

const MIB = 1 << 20;
const SHORT = process.env["SHORT"] === "1";

/** The size of the large file. Kernels hold up to 10 MiB between the browser and the server. */
const LARGE = SHORT ? 60 * MIB : 200 * MIB;

/** The size of a file that is still on its way when its connection has carried {@link PART} and stands. */
const [MIDDLE, PART] = [32 * MIB, 4 * MIB];

/** What the console says of a network that was cut. */
const CUT = /Failed to load resource: net::ERR_/;

async function choose(page: Page, ...paths: string[]): Promise<void> {
  await page.setInputFiles("#pick-files", paths);
}

async function arrived(scene: Scene, path: string, token?: string): Promise<void> {
  const found = (await scene.stored(token)).filter((file) => file.original_filename === basename(path));
  assert.deepEqual(found.map((file) => file.sha256), [await digestOf(path)]);
}

test("files arrive whole, and the page proves it", async () => {
  await scene({}, async (scene) => {
    const paths = [scene.file("one.bin", 3 * MIB), scene.file("empty.bin", 0)];
    const page = await scene.open();
    await choose(page, ...paths);
    for (const path of paths) {
      const one = row(page, basename(path));
      await says(one, "Arrived whole");
      await says(one, await digestOf(path));
      await one.getByRole("button", { name: /^Verify/ }).click();
      await says(one, "Verified");
      await arrived(scene, path);
    }
  });
});

test("a large upload survives a network that is cut twice, and a reload", async () => {
  await scene({}, async (scene) => {
    scene.allow(CUT);
    const path = scene.file("large.bin", LARGE);
    const page = await scene.open();
    let held = scene.relay.hold(LARGE / 5);
    await choose(page, path);
    const one = row(page, "large.bin");
    for (let cut = 0; cut < 2; cut++) {
      await held;
      scene.relay.cut();
      await says(one, "cannot be reached");
      held = scene.relay.hold(LARGE / 5);
      scene.relay.restore();
    }
    await held;
    await page.reload();
    await page.getByRole("heading", { name: "Not finished" }).waitFor();
    await says(one, /./);
    const before = scene.relay.sent;
    scene.relay.release();
    await choose(page, path);
    await says(one, "Arrived whole");
    assert.ok(scene.relay.sent - before < 0.6 * LARGE, `${scene.relay.sent - before} bytes again of ${LARGE}`);
    await says(one, await digestOf(path));
    await arrived(scene, path);
    assert.equal(await page.getByRole("heading", { name: "Not finished" }).count(), 0);
  });
});

test("a server that is killed and started again gets the rest", async () => {
  await scene({}, async (scene) => {
    scene.allow(CUT);
    const path = scene.file("large.bin", LARGE / 2);
    const page = await scene.open();
    const held = scene.relay.hold(LARGE / 8);
    await choose(page, path);
    await held;
    await scene.portico.kill();
    await says(row(page, "large.bin"), "Next attempt");
    scene.relay.release();
    await scene.portico.run();
    await says(row(page, "large.bin"), "Arrived whole");
    await arrived(scene, path);
  });
});

test("many files in one drop", async () => {
  const count = SHORT ? 60 : 500;
  await scene({}, async (scene) => {
    const paths = Array.from({ length: count }, (_, index) => scene.file(`many/${index}.txt`, 1 + index));
    const page = await scene.open();
    await scene.drop(page, paths);
    await page.getByText(`${count} of ${count} files`).waitFor();
    const stored = await scene.stored();
    assert.equal(stored.length, count);
    for (const path of [paths[0], paths[count - 1]]) await arrived(scene, path as string);
  });
});

const ODD = [
  "<img src=x onerror=alert(1)>.html",
  "\u{1F600}".repeat(63) + "abc",
  "a\u202egpj.exe",
  "\u200fשלום.txt",
  " leading and trailing ",
  "%2e%2e%2f",
  "-rf",
  "quote\"'`$(id)",
  "back\\slash",
  "line\nbreak\ttab",
  "n\u0303 is two characters",
];

test("a folder with odd names", async () => {
  await scene({}, async (scene) => {
    const root = join(scene.portico.folder, "odd");
    mkdirSync(join(root, "sub & <b>bold</b>"), { recursive: true });
    mkdirSync(join(root, "empty"));
    for (const [index, name] of ODD.entries()) writeFileSync(join(root, index % 2 ? "sub & <b>bold</b>" : ".", name), `content ${index}`);
    const page = await scene.open();
    await scene.drop(page, [root]);
    await page.getByText(`${ODD.length} of ${ODD.length} files`).waitFor();
    const stored = (await scene.stored()).map((file) => file.original_filename).sort();
    assert.deepEqual(stored, ODD.map((name) => name.replace(/[\n\t]/g, "_")).sort());
    for (const view of ["#send", "#files"]) {
      await page.goto(`${scene.relay.origin}/${view}`);
      await row(page, "<img src=x onerror=alert(1)>.html").waitFor();
      const text = await page.locator("main").innerText();
      assert.ok(!/[\u202a-\u202e\u2066-\u2069]/.test(text), "no name reorders the text around it");
      assert.equal(await page.locator("main img, main b").count(), 0);
    }
  });
});

test("a folder from the picker keeps its paths", async () => {
  await scene({}, async (scene) => {
    const paths = [scene.file("album/a.txt", 5), scene.file("album/deep/er/b.txt", 6)];
    const page = await scene.open();
    const created: string[] = [];
    page.on("request", (request) => {
      if (request.method() === "POST") created.push(request.headers()["upload-metadata"] ?? "");
    });
    await page.setInputFiles("#pick-folder", join(scene.portico.folder, "local/album"));
    await page.getByText("2 of 2 files").waitFor();
    for (const path of paths) await arrived(scene, path);
    const sent = created.map((field) => /relativePath ([^,]+)/.exec(field)?.[1] ?? "").map((text) => Buffer.from(text, "base64").toString());
    assert.deepEqual(sent.sort(), ["album/a.txt", "album/deep/er/b.txt"]);
    await says(row(page, "b.txt"), "album/deep/er/");
    // The list of files knows them too, finds files by them, and orders by them.
    await page.getByRole("link", { name: /^Files/ }).click();
    await says(row(page, "b.txt"), "album/deep/er/");
    await page.getByLabel("Order").selectOption("folder");
    await page.waitForFunction(() => Array.from(document.querySelectorAll(".row .name"), (name) => name.textContent).join() === "album/a.txt,album/deep/er/b.txt");
    await page.getByLabel("Search").fill("deep/er");
    await page.getByText("1 file found").waitFor();
  });
});

test("two tabs with the same file send it once", async () => {
  await scene({}, async (scene) => {
    const path = scene.file("same.bin", MIDDLE);
    const [one, other] = [await scene.open(), await scene.open()];
    const held = scene.relay.hold(PART);
    await choose(one, path);
    await held;
    await choose(other, path);
    await says(row(other, "same.bin"), "Another tab");
    scene.relay.release();
    await says(row(one, "same.bin"), "Arrived whole");
    await says(row(other, "same.bin"), "Was sent before");
    await arrived(scene, path);
    // The person can still want it twice.
    await row(other, "same.bin").getByRole("button", { name: /^Send again/ }).click();
    await says(row(other, "same.bin"), "Arrived whole");
    assert.equal((await scene.stored()).length, 2);
  });
});

test("a file that was deleted since is sent again", async () => {
  await scene({}, async (scene) => {
    scene.allow(/status of 410/);
    const path = scene.file("back.bin", MIB);
    const page = await scene.open();
    await choose(page, path);
    await says(row(page, "back.bin"), "Arrived whole");
    const [file] = await scene.stored();
    await fetch(`http://127.0.0.1:${scene.portico.port}/files/${file?.file_id}`, { method: "DELETE" });
    await page.getByRole("button", { name: "Clear finished" }).click();
    await choose(page, path);
    await says(row(page, "back.bin"), "Arrived whole");
    await arrived(scene, path);
  });
});

test("pause, continue and cancel", async () => {
  await scene({}, async (scene) => {
    const paths = [scene.file("kept.bin", MIDDLE), scene.file("dropped.bin", MIDDLE)];
    const page = await scene.open();
    const held = scene.relay.hold(PART, 2);
    await choose(page, ...paths);
    const [kept, dropped] = [row(page, "kept.bin"), row(page, "dropped.bin")];
    await held;
    await kept.getByRole("button", { name: /^Pause/ }).click();
    await says(kept, "Paused");
    await says(dropped, /[1-9]\d*%/);
    await dropped.getByRole("button", { name: /^Cancel/ }).click();
    await dropped.waitFor({ state: "detached" });
    const before = scene.relay.sent;
    scene.relay.release();
    await kept.getByRole("button", { name: /^Continue/ }).click();
    await says(kept, "Arrived whole");
    assert.ok(scene.relay.sent - before < MIDDLE, "what had arrived is not sent again");
    assert.deepEqual((await scene.stored()).map((file) => file.original_filename), ["kept.bin"]);
    // What was cancelled is not offered again.
    await page.reload();
    await page.getByRole("heading", { name: "Send files" }).waitFor();
    assert.equal(await page.getByRole("heading", { name: "Not finished" }).count(), 0);
  });
});

test("a proxy that answers HTML is named, and waited for", async () => {
  await scene({}, async (scene) => {
    scene.allow(CUT, /status of 502/);
    const path = scene.file("proxied.bin", MIB);
    const page = await scene.open();
    scene.relay.cut();
    scene.relay.restore();
    const html = "<html><body><h1>502 Bad Gateway</h1></body></html>";
    scene.relay.answer = `HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: ${html.length}\r\nConnection: close\r\n\r\n${html}`;
    await choose(page, path);
    await says(row(page, "proxied.bin"), "answered with status 502");
    scene.relay.answer = "";
    await says(row(page, "proxied.bin"), "Arrived whole");
    await arrived(scene, path);
  });
});

test("a file that changes or vanishes meanwhile is not sent half", async () => {
  await scene({}, async (scene) => {
    scene.allow(CUT);
    const [changed, gone] = [scene.file("changed.bin", MIDDLE), scene.file("gone.bin", MIDDLE)];
    const page = await scene.open();
    const held = scene.relay.hold(PART, 2);
    await choose(page, changed, gone);
    await held;
    await page.getByRole("button", { name: "Pause all" }).click();
    appendFileSync(changed, "more");
    rmSync(gone);
    scene.relay.release();
    await page.getByRole("button", { name: "Continue all" }).click();
    for (const name of ["changed.bin", "gone.bin"]) await says(row(page, name), "changed or vanished");
    assert.deepEqual(await scene.stored(), []);
  });
});

test("a file that changes while it is sent is not called whole", async () => {
  await scene({}, async (scene) => {
    scene.allow(CUT);
    const path = scene.file("restless.bin", MIDDLE);
    const page = await scene.open();
    const held = scene.relay.hold(PART);
    await choose(page, path);
    await held;
    appendFileSync(path, "more");
    scene.relay.release();
    // The browser notices it when it opens the file again, or else the page does at the end.
    await says(row(page, "restless.bin"), /changed or vanished/);
    assert.equal(await row(page, "restless.bin").getByText("Arrived whole").count(), 0);
  });
});

test("a server whose disk is full is named, and the upload continues when there is room", { skip: noDisk() }, async () => {
  await scene({ disk: 64 }, async (scene) => {
    scene.allow(CUT, /status of 507/);
    const files = `http://127.0.0.1:${scene.portico.port}/files`;
    const filler = await fetch(`${files}/filler`, { method: "PUT", body: new Uint8Array(40 * MIB) });
    const { file_id } = (await filler.json()) as { file_id: string };
    const path = scene.file("big.bin", 40 * MIB);
    const page = await scene.open();
    await choose(page, path);
    await says(row(page, "big.bin"), /Not sent\..*The portal's storage is full\. Tell its operator, then try again\./);
    await fetch(`${files}/${file_id}`, { method: "DELETE" });
    await row(page, "big.bin").getByRole("button", { name: /^Try again/ }).click();
    await says(row(page, "big.bin"), "Arrived whole");
    await arrived(scene, path);
  });
});

for (const [days, clock] of [[1, "a day ahead"], [-1, "a day behind"]] as const) {
  test(`a clock that is ${clock} changes nothing`, async () => {
    await scene({}, async (scene) => {
      await scene.context.addInitScript((shift) => {
        const Real = Date;
        window.Date = class extends Real {
          constructor(...given: []) {
            super(...((given.length ? given : [Real.now() + shift]) as []));
          }
          static override now(): number {
            return Real.now() + shift;
          }
        } as DateConstructor;
      }, days * 86_400_000);
      const path = scene.file("timeless.bin", MIDDLE);
      const page = await scene.open();
      const held = scene.relay.hold(PART);
      await choose(page, path);
      await held;
      await page.reload();
      await page.getByRole("heading", { name: "Not finished" }).waitFor();
      const before = scene.relay.sent;
      scene.relay.release();
      await choose(page, path);
      await says(row(page, "timeless.bin"), "Arrived whole");
      assert.ok(scene.relay.sent - before < MIDDLE, "what had arrived is not sent again");
      await arrived(scene, path);
      // The list shows the time of the server.
      await page.getByRole("link", { name: /^Files/ }).click();
      const [file] = await scene.stored();
      assert.equal(await row(page, "timeless.bin").locator("time").getAttribute("datetime"), file?.created_at);
    });
  });
}

test("with a full storage uploads work, and the page says what does not", async () => {
  await scene({}, async (scene) => {
    const path = scene.file("plain.bin", MIB);
    await scene.context.addInitScript(() => {
      // Another page of the origin has taken all of it, to the last byte.
      for (let size = 1 << 22, part = 0; size >= 1; size >>= 1) {
        for (;;) {
          try {
            localStorage.setItem(`other.${part++}`, "x".repeat(size));
          } catch {
            break;
          }
        }
      }
    });
    const page = await scene.open();
    await choose(page, path);
    await says(row(page, "plain.bin"), "Arrived whole");
    await page.getByText("does not let the page remember").waitFor();
    await arrived(scene, path);
  });
});

test("without storage uploads work, and the page says what does not", async () => {
  await scene({}, async (scene) => {
    const path = scene.file("plain.bin", MIB);
    await scene.context.addInitScript(() => {
      for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { get: () => { throw new DOMException("refused", "SecurityError"); } });
      }
    });
    const page = await scene.open();
    await choose(page, path);
    await says(row(page, "plain.bin"), "Arrived whole");
    await page.getByText("does not let the page remember").waitFor();
    await arrived(scene, path);
  });
});

const [FIRST, SECOND] = ["first-token-0123456789abcdefghij", "second-token-0123456789abcdefghi"];

test("a token is asked for, refused, withdrawn in the middle and replaced", async () => {
  await scene({ tokens: [FIRST] }, async (scene) => {
    scene.allow(CUT, /status of 401/);
    const path = scene.file("guarded.bin", MIDDLE);
    const page = await scene.open();
    const field = page.getByLabel("Access token");
    await field.fill(SECOND);
    await page.keyboard.press("Enter");
    await page.getByText("does not accept this token").waitFor();
    await choose(page, path);
    const one = row(page, "guarded.bin");
    await says(one, "Waiting");
    await field.fill(FIRST);
    const held = scene.relay.hold(PART);
    await page.keyboard.press("Enter");
    await held;
    await scene.portico.kill();
    scene.portico.setTokens([SECOND]);
    await scene.portico.run();
    await page.getByText("no longer accepts your token").waitFor();
    await says(one, "Waits until you sign in");
    scene.relay.release();
    await field.fill(SECOND);
    await page.keyboard.press("Enter");
    await says(one, "Arrived whole");
    await arrived(scene, path, SECOND);
    assert.ok(!page.url().includes("token"));
    // The token stays in this tab.
    await page.reload();
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    assert.equal(await field.count(), 0);
    const other = await scene.open();
    await other.getByLabel("Access token").waitFor();
  });
});
