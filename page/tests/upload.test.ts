// Uploads, and what can interrupt them.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { digestOf, row, type Scene, says, scene } from "./support/scene.js";

const MIB = 1 << 20;
const SHORT = process.env["SHORT"] === "1";

/** The size of the large file, and bytes a second of the network at first. */
const [LARGE, PACE] = SHORT ? [24 * MIB, 8 * MIB] : [200 * MIB, 40 * MIB];

/** What the console says of a network that was cut. */
const CUT = /Failed to load resource: net::ERR_/;

async function choose(page: Page, ...paths: string[]): Promise<void> {
  await page.setInputFiles("#pick-files", paths);
}

/** Waits until the network has carried so many bytes more. */
async function carried(scene: Scene, bytes: number): Promise<void> {
  const until = scene.relay.sent + bytes;
  await new Promise<void>((resolve) => {
    scene.relay.onsent = (sent) => sent >= until && resolve();
  });
  scene.relay.onsent = () => {};
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
    scene.relay.pace = PACE;
    const page = await scene.open();
    await choose(page, path);
    const one = row(page, "large.bin");
    for (let cut = 0; cut < 2; cut++) {
      await carried(scene, LARGE / 5);
      scene.relay.cut();
      await says(one, "cannot be reached");
      scene.relay.restore();
      await one.getByRole("button", { name: /^Try again/ }).click({ timeout: 5_000 }).catch(() => {});
    }
    await carried(scene, LARGE / 5);
    await page.reload();
    await page.getByRole("heading", { name: "Not finished" }).waitFor();
    await says(one, /./);
    const before = scene.relay.sent;
    scene.relay.pace = 0;
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
    scene.relay.pace = PACE;
    const page = await scene.open();
    await choose(page, path);
    await carried(scene, LARGE / 8);
    await scene.portico.kill();
    await says(row(page, "large.bin"), "Next attempt");
    await scene.portico.run();
    scene.relay.pace = 0;
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
  });
});

test("two tabs with the same file send it once", async () => {
  await scene({}, async (scene) => {
    const path = scene.file("same.bin", 12 * MIB);
    scene.relay.pace = 4 * MIB;
    const [one, other] = [await scene.open(), await scene.open()];
    await choose(one, path);
    await says(row(one, "same.bin"), /%/);
    await choose(other, path);
    await says(row(other, "same.bin"), "Another tab");
    scene.relay.pace = 0;
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
    const paths = [scene.file("kept.bin", 12 * MIB), scene.file("dropped.bin", 12 * MIB)];
    scene.relay.pace = 2 * MIB;
    const page = await scene.open();
    await choose(page, ...paths);
    const [kept, dropped] = [row(page, "kept.bin"), row(page, "dropped.bin")];
    await carried(scene, 8 * MIB);
    await kept.getByRole("button", { name: /^Pause/ }).click();
    await says(kept, "Paused");
    await says(dropped, /[1-9]\d*%/);
    await dropped.getByRole("button", { name: /^Cancel/ }).click();
    await dropped.waitFor({ state: "detached" });
    const before = scene.relay.sent;
    scene.relay.pace = 0;
    await kept.getByRole("button", { name: /^Continue/ }).click();
    await says(kept, "Arrived whole");
    assert.ok(scene.relay.sent - before < 12 * MIB, "what had arrived is not sent again");
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
    const [changed, gone] = [scene.file("changed.bin", 16 * MIB), scene.file("gone.bin", 16 * MIB)];
    scene.relay.pace = 4 * MIB;
    const page = await scene.open();
    await choose(page, changed, gone);
    for (const name of ["changed.bin", "gone.bin"]) await says(row(page, name), /[1-9]\d*%/);
    await page.getByRole("button", { name: "Pause all" }).click();
    appendFileSync(changed, "more");
    rmSync(gone);
    scene.relay.pace = 0;
    await page.getByRole("button", { name: "Continue all" }).click();
    for (const name of ["changed.bin", "gone.bin"]) await says(row(page, name), "changed or vanished");
    assert.deepEqual(await scene.stored(), []);
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
    const path = scene.file("guarded.bin", 16 * MIB);
    const page = await scene.open();
    const field = page.getByLabel("Access token");
    await field.fill(SECOND);
    await page.keyboard.press("Enter");
    await page.getByText("does not accept this token").waitFor();
    await choose(page, path);
    const one = row(page, "guarded.bin");
    await says(one, "Waiting");
    await field.fill(FIRST);
    scene.relay.pace = 4 * MIB;
    await page.keyboard.press("Enter");
    await carried(scene, 6 * MIB);
    await scene.portico.kill();
    scene.portico.setTokens([SECOND]);
    await scene.portico.run();
    await page.getByText("no longer accepts your token").waitFor();
    await says(one, "Waits until you sign in");
    scene.relay.pace = 0;
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
