// What is told when jobs end: the calls that wait, are done, or were given up.
import { useState } from "preact/hooks";
import { duration, number } from "../parts/format.js";
import { Button, Empty } from "../parts/index.js";
import { hooks, list } from "../strings/admin.en.js";
import { DELIVERIES, fragmentOf } from "./address.js";
import { moment, since } from "./format.js";
import { Bones, Failed, Heading, Wide, asShelfwireError, shortId, useAnswer, useNow, useServer } from "./shared.js";
import type { Page, Webhook } from "./types.js";

export interface WebhooksProps {
  readonly status: string | undefined;
  readonly cursor: string | undefined;
}

export function WebhooksScreen({ status, cursor }: WebhooksProps) {
  const server = useServer();
  const now = useNow();
  const { value, error, again } = useAnswer((signal) => server.ask<Page<Webhook>>("GET", "/api/admin/webhooks", { query: { status, cursor, limit: 100 }, signal }), [server, status, cursor]);
  const go = (to: string | undefined): void => {
    location.hash = fragmentOf({ screen: "webhooks", status: to });
  };
  return (
    <>
      <Heading>{hooks.title}</Heading>
      <section class="card" aria-label={hooks.title}>
        <div class="chips" role="group" aria-label={hooks.state}>
          <button type="button" aria-pressed={status === undefined} onClick={() => go(undefined)}>
            {hooks.all}
          </button>
          {DELIVERIES.map((one) => (
            <button key={one} type="button" aria-pressed={status === one} onClick={() => go(one)}>
              {hooks.statuses[one]}
            </button>
          ))}
        </div>
        {error && <Failed error={error} again={again} />}
        {!value && !error && <Bones rows={5} height={56} />}
        {value?.items.length === 0 && (
          <Empty>
            <h2>{status ? hooks.noMatch : hooks.none}</h2>
            {!status && <p>{hooks.noneHint}</p>}
          </Empty>
        )}
        {value && value.items.length > 0 && (
          <Wide label={hooks.title}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{hooks.state}</th>
                  <th scope="col">{hooks.url}</th>
                  <th scope="col" class="num">{hooks.tries}</th>
                  <th scope="col" class="num">{hooks.ended}</th>
                  <th scope="col">
                    <span class="sr">{hooks.retry}</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {value.items.map((hook) => (
                  <tr key={hook.id}>
                    <td>
                      <span class={`state ${hook.status}`}>
                        <i aria-hidden="true" />
                        {hooks.statuses[hook.status] ?? hook.status}
                      </span>
                      {hook.dueAt !== undefined && <small>{hook.dueAt > now ? hooks.next(duration((hook.dueAt - now) / 1000)) : hooks.due}</small>}
                    </td>
                    <td class="long">
                      <bdi>{hook.url}</bdi>
                      <small>
                        <a href={fragmentOf({ screen: "job", id: hook.jobId })}>{shortId(hook.jobId)}</a>
                        {hook.lastError && <bdi> · {hook.lastError}</bdi>}
                      </small>
                    </td>
                    <td class="num">{number(hook.tries)}</td>
                    <td class="num" title={moment(hook.madeAt)}>{since(hook.madeAt, now)}</td>
                    <td>{hook.status !== "done" && <Again id={hook.id} onDone={again} />}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Wide>
        )}
        {(cursor || value?.next) && (
          <nav class="pager" aria-label={list.next}>
            {cursor && <Button onClick={() => go(status)}>{list.first}</Button>}
            {value?.next && <Button onClick={() => (location.hash = fragmentOf({ screen: "webhooks", status, cursor: value.next! }))}>{list.next}</Button>}
          </nav>
        )}
      </section>
    </>
  );
}

function Again({ id, onDone }: { id: string; onDone: () => void }) {
  const server = useServer();
  const [busy, set] = useState(false);
  const [code, fail] = useState("");
  const retry = async (): Promise<void> => {
    set(true);
    try {
      await server.ask("POST", `/api/admin/webhooks/${encodeURIComponent(id)}/retry`);
      onDone();
    } catch (error) {
      fail(asShelfwireError(error).code);
    }
    set(false);
  };
  return (
    <>
      <Button disabled={!server.mayChange || busy} onClick={retry}>
        {hooks.retry}
      </Button>
      {code && <small role="alert">{code}</small>}
    </>
  );
}
