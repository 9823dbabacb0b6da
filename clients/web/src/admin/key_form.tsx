// The form that asks for the operator's key.
import { RefusedError } from "@shelfwire/client";
import type { Http } from "@shelfwire/client/http";
import { asError } from "@shelfwire/client/refusals";
import { useState } from "preact/hooks";
import { Alert, Button, Field, Top } from "../parts/index.js";
import { session as texts, states } from "../strings/admin.en.js";
import { type Session, open } from "./session.js";

export interface KeyFormProps {
  readonly http: Http;
  /** Why it is asked for again. */
  readonly reason: string | undefined;
  readonly onOpen: (session: Session) => void;
}

export function KeyForm({ http, reason, onOpen }: KeyFormProps) {
  const [key, type] = useState("");
  const [busy, set] = useState(false);
  const [wrong, say] = useState(reason);
  const onSubmit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!key.trim()) return say(texts.empty);
    set(true);
    say(undefined);
    try {
      onOpen(await open(http, key.trim()));
    } catch (thrown) {
      say(reasonOf(thrown, http.url));
      set(false);
    }
  };
  return (
    <>
      <Top home="#/" />
      <main class="key">
        <form class="card" onSubmit={onSubmit}>
          <h1>{texts.title}</h1>
          <p>{texts.intro}</p>
          <Field label={texts.field} type="password" value={key} onInput={type} invalid={wrong !== undefined} describedBy={wrong ? "wrong" : undefined} focus />
          {wrong && (
            <div id="wrong">
              <Alert>
                <p>{wrong}</p>
              </Alert>
            </div>
          )}
          <Button kind="main" submit disabled={busy}>
            {busy ? texts.opening : texts.submit}
          </Button>
          <p class="fine">{texts.kept}</p>
          <hr />
          <p class="fine">
            {texts.make}
            <code>{texts.command}</code>
          </p>
          <p class="fine">
            {texts.local}
            <code>{texts.localCommand}</code>
          </p>
        </form>
      </main>
    </>
  );
}

/** Why a key did not open the page, in words. */
export function reasonOf(thrown: unknown, url: string): string {
  const error = asError(thrown, url);
  if (error instanceof RefusedError) {
    const known: Readonly<Record<number, string>> = { 401: texts.wrong, 403: texts.lesser, 404: texts.none };
    return known[error.status] ?? error.userMessage;
  }
  return error instanceof TypeError ? texts.unfit : states.offline;
}
