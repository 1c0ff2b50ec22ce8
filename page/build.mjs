// Bundles the page into dist/, as the portal embeds it: every file but index.html and licences.html under a name with the
// digest of its content, each with its gzip form if that is smaller.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

/** Most bytes of the first load, compressed: index, script and style. */
const FIRST_LOAD_MAX = 150 << 10;

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");
const read = (path) => readFileSync(join(root, path), "utf8");

const files = new Map();

/** Adds a file under a name with its digest, and returns that name. */
function add(name, content) {
  const digest = createHash("sha256").update(content).digest("hex").slice(0, 10);
  const dot = name.lastIndexOf(".");
  const hashed = `${name.slice(0, dot)}-${digest}${name.slice(dot)}`;
  files.set(hashed, Buffer.from(content));
  return hashed;
}

/** Bundles one script or style, and returns its text and the modules that went into it. */
async function bundle(entry, define = {}) {
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    format: "esm",
    target: ["es2022", "chrome109", "firefox115", "safari16.4"],
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
    define,
    jsx: "automatic",
    jsxImportSource: "preact",
  });
  return { text: result.outputFiles[0].contents, inputs: Object.keys(result.metafile.inputs) };
}

/** Reads the languages. Each must know the texts and the placeholders of English, and no others. */
function languages() {
  const english = JSON.parse(read("languages/en.json"));
  const placeholders = (value) =>
    [...new Set([...JSON.stringify(value).matchAll(/\{[a-z]+\}/g)].map(String))].filter((name) => name !== "{count}").sort().join();
  const found = {};
  for (const file of readdirSync(join(root, "languages")).sort()) {
    const tag = basename(file, ".json");
    const texts = JSON.parse(read(`languages/${file}`));
    for (const [key, value] of Object.entries(texts)) {
      if (!(key in english)) throw new Error(`languages/${file}: unknown text ${key}`);
      if (placeholders(value) !== placeholders(english[key])) throw new Error(`languages/${file}: placeholders of ${key}`);
    }
    const missing = Object.keys(english).filter((key) => !(key in texts));
    if (missing.length) console.warn(`languages/${file}: ${missing.length} texts stay English: ${missing.slice(0, 5).join(", ")}`);
    // English is part of the script: a text that another language lacks falls back to it.
    const url = tag === "en" ? null : `page/${add(`language-${tag}.json`, JSON.stringify(texts))}`;
    found[tag] = { name: texts.language, url };
  }
  return found;
}

/** Lists the licences of the packages that went into the bundles. */
function licences(inputs) {
  const folders = new Set();
  for (const input of inputs) {
    const found = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) folders.add(found[1]);
  }
  const texts = [...folders].sort().map((folder) => {
    const about = JSON.parse(read(`${folder}/package.json`));
    const file = readdirSync(join(root, folder)).find((name) => /^licen[cs]e/i.test(name));
    if (!["MIT", "ISC", "BSD-3-Clause", "Apache-2.0"].includes(about.license)) throw new Error(`${about.name}: ${about.license}`);
    const text = file ? read(`${folder}/${file}`).trim() : `Licence: ${about.license}`;
    return `${about.name} ${about.version} (${about.license})\n\n${text}\n`;
  });
  const line = `\n${"-".repeat(72)}\n\n`;
  return `This page is part of Portico (Apache-2.0) and contains these packages.\n${line}${texts.join(line)}`;
}

const worker = await bundle("src/hash-worker.ts");
const workerName = add("hash-worker.js", worker.text);
const main = await bundle("src/main.tsx", {
  LANGUAGES: JSON.stringify(languages()),
  WORKER: JSON.stringify(`page/${workerName}`),
});
const names = {
  "@icon.svg@": add("icon.svg", read("src/icon.svg")),
  "@main.js@": add("main.js", main.text),
  "@style.css@": add("style.css", (await bundle("src/style.css")).text),
  "@form@": read("plain.html").split("<!-- form -->")[1].split("<!-- /form -->")[0].trim(),
};
let index = read("src/index.html");
for (const [place, value] of Object.entries(names)) index = index.replace(place, () => value);
files.set("index.html", Buffer.from(index));
const escape = (text) => text.replace(/[&<>]/g, (found) => `&#${found.charCodeAt(0)};`);
const text = escape(licences([...main.inputs, ...worker.inputs]));
const about = read("src/licences.html").replace("@text@", () => text);
files.set("licences.html", Buffer.from(about.replace(/@(icon\.svg|style\.css)@/g, (name) => names[name])));

mkdirSync(dist, { recursive: true });
for (const old of readdirSync(dist)) if (old !== ".gitignore") rmSync(join(dist, old));
let first = 0;
for (const [name, content] of files) {
  const gzip = gzipSync(content, { level: 9 });
  writeFileSync(join(dist, name), content);
  if (gzip.length < content.length) writeFileSync(join(dist, `${name}.gz`), gzip);
  const counts = name === "index.html" || /^(main|style|icon)-/.test(name);
  if (counts) first += Math.min(gzip.length, content.length);
}
if (first > FIRST_LOAD_MAX) throw new Error(`the first load has ${first} bytes, more than ${FIRST_LOAD_MAX}`);
console.log(`page: ${files.size} files, first load ${first} bytes compressed`);
