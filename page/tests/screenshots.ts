// Makes the pictures of the documentation from the real page: `make screenshots`.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { row, says, scene } from "./support/scene.js";

const FOLDER = join(import.meta.dirname, "../../../docs/images");
const MIB = 1 << 20;

const KINDS = [
  { name: "light", context: { colorScheme: "light" as const, viewport: { width: 960, height: 720 } } },
  { name: "dark", context: { colorScheme: "dark" as const, viewport: { width: 960, height: 720 } } },
  { name: "phone", context: { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true } },
];

mkdirSync(FOLDER, { recursive: true });
for (const { name, context } of KINDS) {
  test(name, async () => {
    await scene({ context }, async (scene) => {
      const page = await scene.open();
      const small = [scene.file("Bericht 2026.pdf", 2 * MIB), scene.file("Παρουσίαση.key", 3 * MIB), scene.file("تقرير.docx", MIB)];
      await page.setInputFiles("#pick-files", small);
      for (const path of small) await says(row(page, path.split("/").pop() as string), "Arrived whole");
      await row(page, "Bericht 2026.pdf").getByRole("button", { name: /Verify/ }).click();
      await says(row(page, "Bericht 2026.pdf"), "Verified");
      scene.relay.pace = 6 * MIB;
      await page.setInputFiles("#pick-files", [scene.file("Film.mkv", 64 * MIB), scene.file("backup.tar.zst", 40 * MIB)]);
      await says(row(page, "Film.mkv"), /[2-9]\d%.* left/s);
      await page.evaluate(() => (document.activeElement as HTMLElement)?.blur());
      await page.screenshot({ path: join(FOLDER, `page-${name}.png`) });
      scene.relay.pace = 0;
      await page.getByRole("link", { name: /^Files/ }).click();
      await row(page, "Παρουσίαση.key").waitFor();
      await page.screenshot({ path: join(FOLDER, `page-files-${name}.png`) });
    });
  });
}
