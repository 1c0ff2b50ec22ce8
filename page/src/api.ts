// Requests to the portal, and its errors.
import { t, type Text } from "./i18n.js";
import { size } from "./format.js";
import { authorization, reject, token } from "./token.js";

/** Why a request failed. */
export class Failure extends Error {
  constructor(
    /** The status of the answer; 0 without an answer. */
    readonly status: number,
    /** The end of the problem's type (`no-space`); empty if the answer is not from the portal. */
    readonly kind = "",
    readonly detail = "",
    /** The limit that was exceeded, in bytes. */
    readonly limit = 0,
    /** When the server expects a retry, in seconds; 0 if it does not say. */
    readonly retryAfter = 0,
  ) {
    super(`${status} ${kind}`);
  }

  /** Whether the same request may succeed later without anybody doing anything. */
  get passes(): boolean {
    const status = this.status;
    return status === 0 || status === 408 || status === 409 || status === 423 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505 && status !== 507);
  }

  /** Returns what happened, for people, and what they can do. */
  explain(): string {
    const known = `problem.${this.kind}`;
    if (this.kind === "too-large" && this.limit > 0) return t("problem.too-large-limit", { limit: size(this.limit) });
    if (this.kind && known in PROBLEMS) return t(known as Text);
    if (this.status === 0) return t("problem.network");
    if (this.status === 401) return t("problem.token");
    if (this.status === 413) return t("problem.proxy-limit");
    if (this.kind === "") return t("problem.foreign", { status: this.status });
    return t("problem.other", { status: this.status, detail: this.detail });
  }
}

/** The problems that have a text of their own. */
const PROBLEMS: { [key: string]: true } = {
  "problem.no-space": true,
  "problem.too-large": true,
  "problem.unavailable": true,
  "problem.denied": true,
  "problem.internal": true,
  "problem.gone": true,
  "problem.not-found": true,
};

/** Reads a failure from the parts of an answer. */
export function failure(status: number, type: string | null, body: string, retryAfter: string | null): Failure {
  const seconds = Number(retryAfter ?? 0) || 0;
  if (type?.startsWith("application/problem+json")) {
    try {
      const problem = JSON.parse(body);
      const kind = String(problem.type ?? "").split("/").pop() ?? "";
      const detail = [problem.title, problem.detail].filter((text) => typeof text === "string").join(": ");
      return new Failure(status, kind, detail, Number(problem.limit) || 0, seconds);
    } catch {
      // The answer to a HEAD, or cut off on its way: the status alone counts.
      const kind = status === 423 || status >= 500 ? "unavailable" : status === 410 ? "gone" : status === 404 ? "not-found" : "other";
      return new Failure(status, kind, "", 0, seconds);
    }
  }
  return new Failure(status, "", "", 0, seconds);
}

/** Sends a request to a path relative to the page. Throws a {@link Failure} unless the status is 2xx. */
export async function request(method: string, path: string, options: { shown?: string; signal?: AbortSignal; form?: URLSearchParams } = {}): Promise<Response> {
  const used = options.shown ?? token.value;
  const headers = options.shown === undefined ? authorization() : { Authorization: `Bearer ${options.shown}` };
  let response: Response;
  try {
    const signal = options.signal ?? null;
    const body = options.form ?? null;
    response = await fetch(new URL(path, document.baseURI), { method, headers, signal, body, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Failure(0);
  }
  if (response.ok) return response;
  if (response.status === 401 && options.shown === undefined) reject(used);
  const body = await response.text().catch(() => "");
  throw failure(response.status, response.headers.get("content-type"), body, response.headers.get("retry-after"));
}

/** Returns the path of a file. */
export const pathOf = (fileId: string): string => `files/${encodeURIComponent(fileId)}`;

/** Reads the SHA-256 of a `Repr-Digest` field (RFC 9530) as hexadecimal digits. */
export function digestOf(field: string | null): string | null {
  const found = /(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):/.exec(field ?? "");
  if (!found?.[1]) return null;
  return Array.from(atob(found[1]), (byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}
