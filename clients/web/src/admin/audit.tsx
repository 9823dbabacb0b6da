// Who did what to which job.
import { Button, Empty } from "../parts/index.js";
import { audit as texts, list } from "../strings/admin.en.js";
import { fragmentOf } from "./address.js";
import { moment } from "./format.js";
import { Bones, Failed, Heading, Wide, shortId, useAnswer, useServer } from "./shared.js";
import type { Act, Page } from "./types.js";

export interface AuditProps {
  readonly job: string | undefined;
  /** The name of an API key. */
  readonly by: string | undefined;
  readonly cursor: string | undefined;
}

export function AuditScreen({ job, by: key, cursor }: AuditProps) {
  const server = useServer();
  const { value, error, again } = useAnswer((signal) => server.ask<Page<Act>>("GET", "/api/admin/audit", { query: { jobId: job, key, cursor, limit: 100 }, signal }), [server, job, key, cursor]);
  const filters: ReadonlyArray<readonly [string, { job?: string | undefined; key?: string | undefined }]> = [
    ...(key ? [[texts.filterKey(key), { job }] as const] : []),
    ...(job ? [[texts.filterJob(shortId(job)), { key }] as const] : []),
  ];
  return (
    <>
      <Heading>{texts.title}</Heading>
      <p class="fine">{texts.intro}</p>
      <section class="card" aria-label={texts.title}>
        {filters.length > 0 && (
          <ul class="active" aria-label={list.filters}>
            {filters.map(([what, without]) => (
              <li key={what}>
                <button type="button" aria-label={list.remove(what)} onClick={() => (location.hash = fragmentOf({ screen: "audit", ...without }))}>
                  <bdi>{what}</bdi> <span aria-hidden="true">✕</span>
                </button>
              </li>
            ))}
          </ul>
        )}
        {error && <Failed error={error} again={again} />}
        {!value && !error && <Bones rows={6} height={48} />}
        {value?.items.length === 0 && (
          <Empty>
            <h2>{filters.length ? texts.noMatch : texts.none}</h2>
          </Empty>
        )}
        {value && value.items.length > 0 && (
          <Wide label={texts.title}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{texts.when}</th>
                  <th scope="col">{texts.key}</th>
                  <th scope="col">{texts.action}</th>
                  <th scope="col">{texts.job}</th>
                  <th scope="col">{texts.outcome}</th>
                </tr>
              </thead>
              <tbody>
                {value.items.map((act, n) => (
                  <tr key={`${act.at} ${n}`}>
                    <td>{moment(act.at)}</td>
                    <td>
                      <a href={fragmentOf({ screen: "audit", job, key: act.key })}>
                        <bdi>{act.key}</bdi>
                      </a>
                    </td>
                    <td>{act.action}</td>
                    <td>{act.jobId && <a href={fragmentOf({ screen: "job", id: act.jobId })}>{shortId(act.jobId)}</a>}</td>
                    <td class={act.outcome === "ok" ? "" : "bad"}>
                      {act.outcome === "ok" ? texts.ok : <code>{act.outcome}</code>}
                      {act.details && <small>{act.details}</small>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Wide>
        )}
        {(cursor || value?.next) && (
          <nav class="pager" aria-label={list.next}>
            {cursor && <Button onClick={() => (location.hash = fragmentOf({ screen: "audit", job, key }))}>{list.first}</Button>}
            {value?.next && <Button onClick={() => (location.hash = fragmentOf({ screen: "audit", job, key, cursor: value.next! }))}>{list.next}</Button>}
          </nav>
        )}
      </section>
    </>
  );
}
