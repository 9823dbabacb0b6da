// What came of the items of one job: the errors by code, and the items page by page.
import type { ResultPage } from "@shelfwire/client";
import { useState } from "preact/hooks";
import { number } from "../parts/format.js";
import { Button, Tabs } from "../parts/index.js";
import { job as texts, list } from "../strings/admin.en.js";
import { Bones, Failed, Wide, useAnswer, useServer } from "./shared.js";

const resultsOf = (id: string): string => `/api/jobs/${encodeURIComponent(id)}/results`;

const ERROR_PAGE = 1000;
/** Failures that are looked at for their codes. */
const MOST_ERRORS = 5000;

export function Errors({ id, failures }: { id: string; failures: number }) {
  const server = useServer();
  const { value, error, again } = useAnswer(
    async (signal) => {
      const codes = new Map<string, number>();
      let cursor: string | undefined;
      for (let seen = 0; failures > 0 && seen < MOST_ERRORS; seen += ERROR_PAGE) {
        const page: ResultPage = await server.ask("GET", resultsOf(id), { query: { status: "failed", limit: ERROR_PAGE, cursor }, signal });
        for (const { error: why } of page.items) codes.set(why?.code ?? "?", (codes.get(why?.code ?? "?") ?? 0) + 1);
        if (!page.next || page.next === cursor || page.items.length === 0) break;
        cursor = page.next;
      }
      return [...codes].sort(([, one], [, other]) => other - one);
    },
    [server, id, failures === 0, Math.floor(Math.log2(failures + 1))],
  );
  const most = value?.[0]?.[1] ?? 1;
  return (
    <section class="card codes" aria-labelledby="errors">
      <h2 id="errors">{texts.errors}</h2>
      {error && <Failed error={error} again={again} />}
      {value?.length === 0 && <p class="fine">{texts.noErrors}</p>}
      <ul>
        {value?.map(([code, n]) => (
          <li key={code}>
            <span class="line-of-code">
              <code>{code}</code>
              <b>{number(n)}</b>
              <i style={{ transform: `scaleX(${n / most})` }} />
            </span>
          </li>
        ))}
      </ul>
      {failures > MOST_ERRORS && <p class="fine">{texts.someErrors(number(MOST_ERRORS))}</p>}
    </section>
  );
}

const ITEM_PAGE = 20;
type ItemStatus = "all" | "ok" | "failed";

export function Items({ id, processed }: { id: string; processed: number }) {
  const server = useServer();
  const [status, choose] = useState<ItemStatus>("all");
  const [cursors, turn] = useState<readonly string[]>([]);
  const cursor = cursors.at(-1);
  const { value, error, again, loading } = useAnswer(
    (signal) => server.ask<ResultPage>("GET", resultsOf(id), { query: { status: status === "all" ? undefined : status, limit: ITEM_PAGE, cursor }, signal }),
    [server, id, status, cursor, cursor === undefined && processed < ITEM_PAGE ? processed : 0],
  );
  const more = value !== undefined && value.next !== null && value.items.length === ITEM_PAGE;
  const tabs = [
    { key: "all", text: texts.allItems },
    { key: "ok", text: texts.okItems },
    { key: "failed", text: texts.failedItems },
  ];
  return (
    <section class="card items" aria-labelledby="items">
      <h2 id="items">{texts.items}</h2>
      <Tabs label={texts.items} tabs={tabs} chosen={status} onChoose={(key) => (turn([]), choose(key as ItemStatus))}>
        {error && <Failed error={error} again={again} />}
        {!value && !error && <Bones rows={5} height={40} />}
        {value?.items.length === 0 && <p class="fine nothing">{texts.noItems}</p>}
        {value && value.items.length > 0 && (
          <Wide label={texts.items} old={loading}>
            <table>
              <thead>
                <tr>
                  <th scope="col" class="num">{texts.index}</th>
                  <th scope="col">{texts.title}</th>
                  <th scope="col">{texts.outcome}</th>
                </tr>
              </thead>
              <tbody>
                {value.items.map(({ index, ok, title, error: why }) => (
                  <tr key={index}>
                    <td class="num">{number(index)}</td>
                    <td class="serif">
                      <bdi>{title ?? "–"}</bdi>
                    </td>
                    <td class={ok ? "" : "bad"}>
                      {ok ? texts.itemDone : (
                        <>
                          <code>{why?.code}</code> <small>{why?.message}</small>
                        </>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Wide>
        )}
        {(cursors.length > 0 || more) && (
          <nav class="pager" aria-label={texts.more}>
            {cursors.length > 0 && <Button onClick={() => turn([])}>{list.first}</Button>}
            {more && <Button onClick={() => turn([...cursors, value!.next!])}>{texts.more}</Button>}
          </nav>
        )}
      </Tabs>
    </section>
  );
}
