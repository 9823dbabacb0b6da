// The operator's key: asked for, kept for this tab alone, or brought by a code that works once.
import { RefusedError } from "@shelfwire/client";
import { type Http, headerValue } from "@shelfwire/client/http";
import type { Role } from "./types.js";

export interface Session {
  readonly key: string;
  readonly name: string;
  readonly role: Role;
}

const KEPT = "shelfwire.operator";

export const keptKey = (): string | null => sessionStorage.getItem(KEPT);
export const forgetKey = (): void => sessionStorage.removeItem(KEPT);
const keepKey = (key: string): void => sessionStorage.setItem(KEPT, key);

/** The code that a fragment brings, taken out of the address and the history at once. */
export function takeCode(): string | undefined {
  const [, code] = /^#\/code\/([^/?]+)$/.exec(location.hash) ?? [];
  if (code) history.replaceState(null, "", location.pathname);
  return code;
}

export const headersOf = (key: string): Record<string, string> => ({ "X-API-Key": headerValue(key, "API key") });

/** Opens the page with a key. Throws what `Http.data` throws, and a `TypeError` for what cannot be a key. */
export async function open(http: Http, key: string): Promise<Session> {
  const { name, role } = await http.data("GET", "/api/admin/session", { headers: headersOf(key) });
  keepKey(key);
  return { key, name, role };
}

/** Opens the page with a code. Throws as `open` does. */
export async function openWithCode(http: Http, code: string): Promise<Session> {
  const { apiKey } = await http.data("POST", "/api/admin/session/key", { json: { code } });
  return open(http, apiKey);
}

/** Whether the server refused the key itself, rather than one request. */
export const isKeyRefused = (error: unknown): boolean => error instanceof RefusedError && error.status === 401;
