// Texts for people. A language is a file in `languages/`; what it lacks is English.
import { signal } from "@preact/signals";
import english from "../languages/en.json";
import { lasting } from "./storage.js";

/** The name of a text. */
export type Text = keyof typeof english;

type Value = string | { [category: string]: string };
type Values = { [name: string]: string | number };

const KEY = "portico.language";

/** The current language, as a tag of BCP 47. */
export const language = signal("en");

/** Returns the locale of numbers and dates: the browser's own of the current language, which also has a region. */
export function locale(): string {
  const tag = language.value;
  return navigator.languages.find((own) => own === tag || own.startsWith(`${tag}-`)) ?? tag;
}

let texts: { [key: string]: Value } = english;
let plural = new Intl.PluralRules("en");

/**
 * Returns a text with its values in place of the placeholders. `count` chooses the plural form. Each text value is isolated,
 * so that a name of the other direction does not reorder the sentence.
 */
export function t(key: Text, values: Values = {}): string {
  language.value; // Whoever calls this depends on the language.
  const value: Value = texts[key] ?? english[key];
  const chosen = typeof value === "string" ? value : (value[plural.select(Number(values["count"]))] ?? value["other"] ?? key);
  return chosen.replace(/\{([a-z]+)\}/g, (_, name: string) => {
    const given = values[name] ?? "";
    return typeof given === "number" ? given.toLocaleString(locale()) : `\u2068${given}\u2069`;
  });
}

/** Chooses the language: the person's choice, or the first of the browser's that exists. */
export async function chooseLanguage(): Promise<void> {
  const candidates = [lasting.get(KEY) ?? "", ...navigator.languages];
  const known = candidates.flatMap((tag) => [tag, tag.split("-")[0] ?? ""]).find((tag) => tag in LANGUAGES);
  await setLanguage(known ?? "en", false);
}

/** Loads a language. If that fails, the current one stays. */
export async function setLanguage(tag: string, remember = true): Promise<void> {
  const url = LANGUAGES[tag]?.url;
  if (url === undefined) return;
  try {
    texts = url === null ? english : await (await fetch(new URL(url, document.baseURI))).json();
  } catch {
    return;
  }
  plural = new Intl.PluralRules(tag);
  if (remember) lasting.set(KEY, tag);
  document.documentElement.lang = tag;
  document.documentElement.dir = String(texts["direction"] ?? "ltr");
  language.value = tag;
}
