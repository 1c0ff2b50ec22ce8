// The access token: in the storage of this tab alone, sent in a header alone.
import { computed, signal } from "@preact/signals";
import { perTab } from "./storage.js";

const KEY = "portico.token";

/** The token that requests carry; null without one. */
export const token = signal<string | null>(perTab.get(KEY));

/** Why the person must sign in: the server wants a token, or no longer takes this one. Null if nothing is wanted. */
export const wanted = signal<"missing" | "refused" | null>(null);

export const signedIn = computed(() => token.value !== null && wanted.value === null);

/** Returns the headers that show the token. */
export function authorization(): { [name: string]: string } {
  return token.value === null ? {} : { Authorization: `Bearer ${token.value}` };
}

/** Notes that the server refused a request. A late answer about a former token changes nothing. */
export function reject(shown: string | null): void {
  if (shown === token.value) wanted.value = shown === null ? "missing" : "refused";
}

/** Takes a token that the server has admitted. */
export function accept(admitted: string): void {
  perTab.set(KEY, admitted);
  token.value = admitted;
  wanted.value = null;
}

export function signOut(): void {
  perTab.remove(KEY);
  token.value = null;
  wanted.value = "missing";
}
