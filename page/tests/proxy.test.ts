// Uploads through nginx: with its own limit of 1 MiB a request, and with one of 100 MB.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Nginx } from "./support/nginx.js";
import { digestOf, row, says, scene } from "./support/scene.js";

const MIB = 1 << 20;
const SIZE = process.env["SHORT"] === "1" ? 70 * MIB : 200 * MIB;

for (const [title, settings] of [["its default settings", ""], ["a limit of 100 MB", "client_max_body_size 100m;"]] as const) {
  test(`through nginx with ${title}, cut in the middle`, async () => {
    await scene({}, async (scene) => {
      scene.allow(/net::ERR_/, /status of 413/);
      const nginx = await Nginx.start(scene.portico.port, settings);
      try {
        scene.relay.target = () => nginx.port;
        const path = scene.file("proxied.bin", SIZE);
        const page = await scene.open();
        const held = scene.relay.hold(SIZE / 3);
        await page.setInputFiles("#pick-files", [path]);
        await held;
        scene.relay.cut();
        await says(row(page, "proxied.bin"), "Next attempt");
        scene.relay.release();
        scene.relay.restore();
        await says(row(page, "proxied.bin"), "Arrived whole");
        assert.deepEqual((await scene.stored()).map((file) => file.sha256), [await digestOf(path)]);
      } finally {
        await nginx.end();
      }
    });
  });
}
