// Uploads, and everything that can interrupt them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { digestOf, row, says, scene } from "./support/scene.js";

const MIB = 1 << 20;

test("files arrive whole, and the page proves it", async () => {
  await scene({}, async (scene) => {
    const paths = [scene.file("one.bin", 3 * MIB), scene.file("empty.bin", 0)];
    const page = await scene.open();
    await page.setInputFiles("#pick-files", paths);
    for (const path of paths) {
      const name = path.split("/").pop() as string;
      const digest = await digestOf(path);
      await says(row(page, name), "Arrived whole");
      await says(row(page, name), digest);
      await row(page, name).getByRole("button", { name: `Verify: ${name}` }).click();
      await says(row(page, name), "Verified");
      assert.equal((await scene.stored()).find((file) => file.original_filename === name)?.sha256, digest);
    }
  });
});
