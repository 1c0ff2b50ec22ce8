// Numbers, times and names, as people read them.
import { locale } from "./i18n.js";

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte", "petabyte"];

const cache = new Map<string, Intl.NumberFormat>();

function number(options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = locale() + JSON.stringify(options);
  let found = cache.get(key);
  if (!found) cache.set(key, (found = new Intl.NumberFormat(locale(), options)));
  return found;
}

function scaled(bytes: number, suffix: string): string {
  const power = bytes < 1000 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  const maximumFractionDigits = power === 0 || value >= 100 ? 0 : 1;
  const unit = `${UNITS[power]}${suffix}`;
  return number({ style: "unit", unit, unitDisplay: power === 0 && !suffix ? "long" : "short", maximumFractionDigits }).format(value);
}

/** Formats a size in bytes: "1.2 MB". */
export const size = (bytes: number): string => scaled(bytes, "");

/** Formats a rate in bytes a second: "1.2 MB/s". */
export const rate = (bytesPerSecond: number): string => scaled(bytesPerSecond, "-per-second");

export const percent = (part: number): string => number({ style: "percent" }).format(part);

/** Formats a duration in seconds by its largest unit: "3 min". */
export function duration(seconds: number): string {
  const [value, unit] =
    seconds < 60 ? [seconds, "second"] : seconds < 3600 ? [seconds / 60, "minute"] : seconds < 172_800 ? [seconds / 3600, "hour"] : [seconds / 86_400, "day"];
  return number({ style: "unit", unit: unit as string, unitDisplay: "short", maximumFractionDigits: 0 }).format(Math.ceil(value as number));
}

/** Formats a time of RFC 3339 in the person's time zone. */
export function date(text: string): string {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  return at.toLocaleString(locale(), { dateStyle: "medium", timeStyle: "short" });
}

/**
 * Returns a name as it is shown. Characters that reorder the text around them could make `exe.gpj` look like `jpg.exe`, and
 * control characters are invisible; each is shown as U+FFFD.
 */
export const shown = (name: string): string => name.replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "\ufffd");
