// The views: who can use them, and what they show.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { Page } from "playwright-core";
import { pretend } from "./support/pretend.js";
import { accessible, digestOf, row, says, scene } from "./support/scene.js";

const MIB = 1 << 20;
const TOKEN = "first-token-0123456789abcdefghij";

/** Puts small files into the portal without the page. */
async function fill(port: number, names: string[], token?: string): Promise<void> {
  for (const name of names) {
    const headers: Record<string, string> = token ? { authorization: `Bearer ${token}` } : {};
    const response = await fetch(`http://127.0.0.1:${port}/files/${encodeURIComponent(name)}`, { method: "PUT", body: name, headers });
    assert.equal(response.status, 201);
  }
}

async function noOverflow(page: Page, view: string): Promise<void> {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${view} is ${wide} pixels too wide`);
}

/** Returns the names in the directory of a small ZIP archive. */
function namesIn(zip: Buffer): string[] {
  const end = zip.length - 22;
  assert.equal(zip.readUInt32LE(end), 0x06054b50);
  const names: string[] = [];
  for (let at = zip.readUInt32LE(end + 16), left = zip.readUInt16LE(end + 10); left > 0; left--) {
    assert.equal(zip.readUInt32LE(at), 0x02014b50);
    const [name, extra] = [zip.readUInt16LE(at + 28), zip.readUInt16LE(at + 30)];
    names.push(zip.toString("utf8", at + 46, at + 46 + name));
    at += 46 + name + extra;
  }
  return names;
}

for (const [title, context] of [
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true }],
  ["forced colours and reduced motion", { forcedColors: "active", reducedMotion: "reduce" }],
] as const) {
  test(`every view is accessible: ${title}`, async () => {
    await scene({ tokens: [TOKEN], context }, async (scene) => {
      scene.allow(/status of 401/, /net::ERR_/);
      const page = await scene.open();
      const look = async (view: string) => {
        await accessible(page, view);
        await noOverflow(page, view);
      };
      await page.getByLabel("Access token").waitFor();
      await look("sign-in");
      await page.getByLabel("Access token").fill("wrong");
      await page.keyboard.press("Enter");
      await page.getByText("does not accept").waitFor();
      await look("sign-in refused");
      await page.getByLabel("Access token").fill(TOKEN);
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Sign out" }).waitFor();
      await look("empty queue");

      await page.setInputFiles("#pick-files", [scene.file(`${"long-name-without-any-space-".repeat(8)}.bin`, MIB)]);
      await says(row(page, "long-name"), "Arrived whole");
      await row(page, "long-name").getByRole("button", { name: /^Verify/ }).click();
      await says(row(page, "long-name"), "Verified");
      const held = scene.relay.hold(4 * MIB, 2);
      await page.setInputFiles("#pick-files", [scene.file("paused.bin", 32 * MIB), scene.file("moving.bin", 32 * MIB)]);
      await held;
      await row(page, "paused.bin").getByRole("button", { name: /^Pause/ }).click();
      await says(row(page, "moving.bin"), /[1-9]\d?%/);
      await look("queue");
      scene.relay.cut();
      await says(row(page, "moving.bin"), "Next attempt");
      await look("queue without network");
      scene.relay.release();
      scene.relay.restore();
      await says(row(page, "moving.bin"), "Arrived whole");

      await page.getByRole("link", { name: /^Files/ }).click();
      await row(page, "moving.bin").waitFor();
      await row(page, "moving.bin").getByText("Details").click();
      await row(page, "moving.bin").getByRole("checkbox").check();
      await page.getByText("1 file selected").waitFor();
      await look("files");
      await row(page, "moving.bin").getByRole("button", { name: /^Delete/ }).click();
      await page.getByRole("dialog").waitFor();
      await look("question");
    });
  });
}

test("texts twice as large fit, and so does the other direction", async () => {
  await scene({ context: { viewport: { width: 640, height: 700 } } }, async (scene) => {
    const page = await scene.open();
    await page.setInputFiles("#pick-files", [scene.file("one.bin", 1)]);
    await says(row(page, "one.bin"), "Arrived whole");
    for (const [direction, size] of [["ltr", "200%"], ["rtl", "100%"], ["rtl", "200%"]] as const) {
      for (const view of ["Send", "Files"]) {
        await page.getByRole("link", { name: new RegExp(`^${view}`) }).click();
        await row(page, "one.bin").waitFor();
        await page.evaluate(([direction, size]) => {
          document.documentElement.dir = direction as string;
          document.documentElement.style.fontSize = size as string;
        }, [direction, size]);
        await noOverflow(page, `${view} ${direction} ${size}`);
      }
    }
  });
});

test("everything works by keyboard alone", async () => {
  await scene({}, async (scene) => {
    const page = await scene.open();
    /** Moves on by Tab until an element with that name has the focus. */
    const reach = async (name: RegExp) => {
      for (let step = 0; step < 60; step++) {
        await page.keyboard.press("Tab");
        const found = await page.evaluate(() => {
          const active = document.activeElement as HTMLElement;
          const label = active.id ? document.querySelector(`label[for="${active.id}"]`)?.textContent : "";
          return `${active.getAttribute("aria-label") ?? ""} ${label ?? ""} ${active.textContent ?? ""}`.trim();
        });
        if (name.test(found)) return;
      }
      assert.fail(`${name} is not reached by Tab`);
    };
    await reach(/^Choose files/);
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement?.nextElementSibling as Element).outlineStyle);
    assert.equal(outline, "solid", "the focus is visible");
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.keyboard.press("Space")]);
    const held = scene.relay.hold(4 * MIB);
    await chooser.setFiles([scene.file("keys.bin", 32 * MIB)]);
    await held;
    const one = row(page, "keys.bin");
    await reach(/^Pause: keys.bin/);
    await page.keyboard.press("Enter");
    await says(one, "Paused");
    // The focus stays on the button, which now continues.
    scene.relay.release();
    await page.keyboard.press("Enter");
    await says(one, "Arrived whole");
    await reach(/^Verify: keys.bin/);
    await page.keyboard.press("Enter");
    await says(one, "Verified");

    await page.reload();
    await reach(/^Files/);
    await page.keyboard.press("Enter");
    await row(page, "keys.bin").waitFor();
    await reach(/^Search/);
    await page.keyboard.type("KEYS");
    await page.getByText("1 file found").waitFor();
    await reach(/^Select: keys.bin/);
    await page.keyboard.press("Space");
    await page.getByText("1 file selected").waitFor();
    await reach(/^Details: keys.bin/);
    await page.keyboard.press("Enter");
    await reach(/^Delete: keys.bin/);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    assert.match(await page.evaluate(() => document.activeElement?.getAttribute("aria-label") ?? ""), /^Delete: keys.bin/);
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await reach(/^Delete it/);
    await page.keyboard.press("Enter");
    await page.getByText("There are no files yet").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.id), "files-title");
    assert.deepEqual(await scene.stored(), []);
  });
});

test("what happens is said to screen readers", async () => {
  await scene({}, async (scene) => {
    const page = await scene.open();
    const said = page.locator("[role=status].hidden");
    await page.setInputFiles("#pick-files", [scene.file("heard.bin", 10)]);
    await said.filter({ hasText: "heard.bin" }).filter({ hasText: "has arrived" }).waitFor({ state: "attached" });
  });
});

test("the list is searched, ordered and downloaded from", async () => {
  await scene({}, async (scene) => {
    await fill(scene.portico.port, ["b10.txt", "b9.txt", "Äpfel.txt", "<b>x"]);
    const page = await scene.open("/#files");
    await page.getByText("4 files").waitFor();
    const ordered = async (by: string, names: string[]) => {
      await page.getByLabel("Order").selectOption(by);
      await page.waitForFunction((names) => Array.from(document.querySelectorAll(".name"), (name) => name.textContent).join() === names, names.join());
    };
    await ordered("name", ["<b>x", "Äpfel.txt", "b9.txt", "b10.txt"]);
    await ordered("largest", ["Äpfel.txt", "b10.txt", "b9.txt", "<b>x"]);
    await page.getByLabel("Search").fill("ÄPF");
    await page.getByText("1 file found").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), row(page, "Äpfel.txt").getByRole("link", { name: /^Download/ }).click()]);
    assert.equal(download.suggestedFilename(), "Äpfel.txt");
    assert.equal(readFileSync(await download.path(), "utf8"), "Äpfel.txt");
  });
});

test("downloads work with a token, which no URL has", async () => {
  await scene({ tokens: [TOKEN] }, async (scene) => {
    scene.allow(/status of 401/);
    await fill(scene.portico.port, ["secret.txt"], TOKEN);
    // Headless Chromium cannot show the picker of files; without it the page uses memory.
    await scene.context.addInitScript(() => Reflect.deleteProperty(window, "showSaveFilePicker"));
    const page = await scene.open("/#files");
    const urls: string[] = [];
    page.on("request", (request) => urls.push(request.url()));
    await page.getByLabel("Access token").fill(TOKEN);
    await page.keyboard.press("Enter");
    await row(page, "secret.txt").waitFor();
    const [download] = await Promise.all([page.waitForEvent("download"), row(page, "secret.txt").getByRole("button", { name: /^Download/ }).click()]);
    assert.equal(download.suggestedFilename(), "secret.txt");
    assert.equal(readFileSync(await download.path(), "utf8"), "secret.txt");
    assert.deepEqual(urls.filter((url) => url.includes(TOKEN)), []);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Access token").waitFor();
    assert.equal(await row(page, "secret.txt").count(), 0);
  });
});

test("a download with a token goes to the file that the person chooses", async () => {
  await scene({ tokens: [TOKEN] }, async (scene) => {
    scene.allow(/status of 401/);
    const path = scene.file("streamed.bin", 3 * MIB);
    // Stands in for the picker, which no test can click: a file that exists once it was closed.
    await scene.context.addInitScript(() => {
      const pieces: BlobPart[] = [];
      const close = () => Object.assign(window, { saved: new Blob(pieces) });
      const createWritable = async () => new WritableStream({ write: (piece: BlobPart) => void pieces.push(piece), close: () => void close() });
      Object.assign(window, { showSaveFilePicker: async ({ suggestedName }: { suggestedName: string }) => (Object.assign(window, { suggestedName }), { createWritable }) });
    });
    const page = await scene.open();
    await page.getByLabel("Access token").fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.setInputFiles("#pick-files", [path]);
    await says(row(page, "streamed.bin"), "Arrived whole");
    await page.getByRole("link", { name: /^Files/ }).click();
    await row(page, "streamed.bin").getByRole("button", { name: /^Download/ }).click();
    await page.waitForFunction(() => "saved" in window);
    assert.equal(await page.evaluate(() => (window as unknown as { suggestedName: string }).suggestedName), "streamed.bin");
    const digest = await page.evaluate(async () => {
      const content = await (window as unknown as { saved: Blob }).saved.arrayBuffer();
      const bytes = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
      return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    });
    assert.equal(digest, await digestOf(path));
  });
});

test("many files come as one zip", async () => {
  await scene({}, async (scene) => {
    await fill(scene.portico.port, ["one.txt", "one.txt", "naïve ☃.txt"]);
    const page = await scene.open("/#files");
    await page.getByText("3 files").waitFor();
    // The browser closes the new tab again, and says that its opener has the download.
    const zip = page.waitForEvent("download");
    await page.getByRole("button", { name: "Select all" }).click();
    await page.getByText("3 files selected").waitFor();
    await page.getByRole("button", { name: "Download as zip" }).click();
    assert.equal((await zip).suggestedFilename(), "files.zip");
    const names = namesIn(readFileSync(await (await zip).path()));
    assert.deepEqual(names.sort(), ["naïve ☃.txt", "one (2).txt", "one.txt"]);
    // The page itself stays, with its selection.
    await page.getByText("3 files selected").waitFor();
    await page.getByRole("button", { name: "Select none" }).click();
    await page.getByRole("button", { name: "Download as zip" }).waitFor({ state: "detached" });
  });
});

test("a zip comes with a token, and one that is cut off is not saved", async () => {
  await scene({ tokens: [TOKEN] }, async (scene) => {
    scene.allow(/status of 401/, /net::ERR_/, /status of 404/);
    await fill(scene.portico.port, ["secret.txt", "other.txt"], TOKEN);
    await scene.context.addInitScript(() => Reflect.deleteProperty(window, "showSaveFilePicker"));
    const page = await scene.open("/#files");
    await page.getByLabel("Access token").fill(TOKEN);
    await page.keyboard.press("Enter");
    await row(page, "secret.txt").getByRole("checkbox").check();
    await row(page, "other.txt").getByRole("checkbox").check();
    const [zip] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download as zip" }).click()]);
    assert.deepEqual(namesIn(readFileSync(await zip.path())).sort(), ["other.txt", "secret.txt"]);
    // As when a file is deleted while the zip is made: the server says a length, and ends before it.
    await page.route(/files\.zip/, (route) => route.fulfill({ status: 200, headers: { "content-length": "1000" }, body: "PK" }));
    await page.getByRole("button", { name: "Download as zip" }).click();
    await page.getByText("The download broke off").waitFor();
    await page.unroute(/files\.zip/);
    const [file] = await scene.stored(TOKEN);
    await fetch(`http://127.0.0.1:${scene.portico.port}/files/${file?.file_id}`, { method: "DELETE", headers: { authorization: `Bearer ${TOKEN}` } });
    await page.getByRole("button", { name: "Download as zip" }).click();
    await page.getByText("The portal does not know this").waitFor();
  });
});

test("ten thousand files scroll, and few rows exist at a time", async () => {
  await scene({}, async (scene) => {
    const page = await scene.open();
    await pretend(page, 10_000);
    await page.getByRole("link", { name: /^Files/ }).click();
    await page.getByText("10,000 files").waitFor();
    await row(page, "file 9999.txt").waitFor();
    for (const part of [0.3, 0.7, 1]) {
      await page.evaluate((part) => scrollTo(0, document.documentElement.scrollHeight * part), part);
      await page.waitForFunction(() => Array.from(document.querySelectorAll(".row"), (row) => row.getBoundingClientRect()).some((box) => box.bottom > 0 && box.top < innerHeight));
      assert.ok((await page.locator(".row").count()) < 400);
    }
    await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
    await row(page, "file 0.txt").waitFor();
    assert.equal(await row(page, "file 0.txt").getAttribute("aria-posinset"), "10000");
    await page.getByLabel("Search").fill("file 4321");
    await page.getByText("1 file found").waitFor();
  });
});

test("German, and the choice is kept", async () => {
  await scene({ context: { locale: "de-AT" } }, async (scene) => {
    const page = await scene.open();
    await page.getByRole("heading", { name: "Dateien senden" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
    await accessible(page, "German");
    await page.getByLabel("Sprache").selectOption("en");
    await page.getByRole("heading", { name: "Send files" }).waitFor();
    await page.reload();
    await page.getByRole("heading", { name: "Send files" }).waitFor();
  });
});

test("pasted files are sent, pasted text is not", async () => {
  await scene({}, async (scene) => {
    const page = await scene.open();
    await page.getByRole("heading", { name: "Send files" }).waitFor();
    await page.evaluate(() => {
      for (const fill of [(data: DataTransfer) => data.setData("text/plain", "words"), (data: DataTransfer) => data.items.add(new File(["pixels"], "image.png", { type: "image/png" }))]) {
        const clipboardData = new DataTransfer();
        fill(clipboardData);
        document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }));
      }
    });
    await says(row(page, "image.png"), "Arrived whole");
    assert.deepEqual((await scene.stored()).map((file) => file.original_filename), ["image.png"]);
  });
});

test("nothing moves while the page loads", async () => {
  await scene({}, async (scene) => {
    const page = await scene.open();
    await page.getByRole("heading", { name: "Send files" }).waitFor();
    const shift = await page.evaluate(() => new Promise<number>((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) sum += (entry as unknown as { value: number }).value;
      }).observe({ type: "layout-shift", buffered: true });
      setTimeout(() => resolve(sum), 300);
    }));
    assert.equal(shift, 0);
  });
});

test("without JavaScript there is a form", async () => {
  await scene({ context: { javaScriptEnabled: false } }, async (scene) => {
    const page = await scene.context.newPage();
    await page.goto(scene.relay.origin);
    await page.getByLabel("Files to send").waitFor();
    assert.equal(await page.locator("form").getAttribute("action"), "files");
  });
});

test("licences are served with the page", async () => {
  await scene({}, async (scene) => {
    const page = await scene.open();
    await page.getByRole("link", { name: "Licences" }).click();
    for (const name of ["preact", "tus-js-client", "@noble/hashes"]) await page.getByText(name, { exact: false }).first().waitFor();
  });
});
