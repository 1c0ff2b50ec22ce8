// Bundles the tests, and runs them in Node's runner. Arguments are names of files in this folder without `.ts`; none means all
// tests. SHORT=1 leaves the long ones out, and ONLY=PATTERN chooses by title.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Most minutes of a file of tests. */
const MINUTES = 30;

const folder = dirname(fileURLToPath(import.meta.url));
// Of this run alone, so that two can run side by side.
const out = join(folder, "built", String(process.pid));
const wanted = process.argv.slice(2);
// A test that cannot run has not passed.
const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";
if (!existsSync(chromium)) {
  console.error(`page/tests: there is no ${chromium}; install chromium, or set CHROMIUM to its path`);
  process.exit(1);
}
const tests = readdirSync(folder).filter((name) => name.endsWith(".test.ts")).map((name) => name.slice(0, -".ts".length));
const names = wanted.length ? wanted : tests;
await build({
  entryPoints: names.map((name) => join(folder, `${name}.ts`)),
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  outdir: out,
  outExtension: { ".js": ".mjs" },
  define: { "import.meta.dirname": JSON.stringify(join(folder, "support")) },
});
const filter = process.env.ONLY ? ["--test-name-pattern", process.env.ONLY] : [];
const files = names.map((name) => join(out, `${name}.mjs`));
const { status } = spawnSync(process.execPath, ["--test", "--test-concurrency=2", `--test-timeout=${MINUTES * 60_000}`, ...filter, ...files], { stdio: "inherit" });
rmSync(out, { recursive: true, force: true });
process.exit(status ?? 1);
