import { Client, RefusedError, ShelfwireError } from "@shelfwire/client";
import { reader as text } from "../strings/en.js";
import { apiKey } from "./kept.js";

/** The server that this page came from. */
export const client = new Client();

/** The same, with the key that this tab has for creating jobs, if the server wanted one. */
export const creator = (): Client => {
  const key = apiKey.get();
  return key === undefined ? client : new Client({ apiKey: key });
};

/** What to say of an error; the server's own text where this page has none for its code. */
export function explained(error: unknown): string {
  if (!(error instanceof ShelfwireError)) return text.errors.E_INTERNAL!;
  return text.errors[error.code] ?? error.userMessage;
}

export const isUnauthorized = (error: unknown): boolean => error instanceof RefusedError && error.status === 401;
