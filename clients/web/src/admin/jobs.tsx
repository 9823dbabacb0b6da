// The list of jobs: filters in the address, rows that are live and never move, and what is done to many at once.
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { number } from "../parts/format.js";
import { Button, Empty, Field, Select } from "../parts/index.js";
import { counted, list, statuses } from "../strings/admin.en.js";
import { type JobsView, type Within, STATUSES, fragmentOf, isNarrowed, queryOf } from "./address.js";
import { Bulk } from "./bulk.js";
import { statusCounts } from "./figures.js";
import { moment, since } from "./format.js";
import { type Row, newestOf, rowsOf, shareOf, updated, watched } from "./rows.js";
import { Bones, Failed, Heading, Wide, shortId, useAnswer, useLive, useNow, useServer } from "./shared.js";
import { StatusMark } from "./status.js";
import type { JobList, JobSummary } from "./types.js";

const PAGE = 100;
/** Of running jobs, among which the stalled ones are picked out; the server's most. */
const RUNNING_PAGE = 200;
const TYPING_MS = 300;

export const go = (view: JobsView): void => {
  location.hash = fragmentOf({ screen: "jobs", ...view });
};

export const nameOf = (job: JobSummary): string => job.fileName ?? list.unnamed(job.pipeline);

export function JobsScreen({ view }: { view: JobsView }) {
  const server = useServer();
  const address = fragmentOf({ screen: "jobs", ...view });
  const page = useAnswer((signal) => server.ask<JobList>("GET", "/api/jobs", { query: { ...queryOf(view, server.now()), limit: view.stalled ? RUNNING_PAGE : PAGE }, signal }), [server, address]);
  const [rows, setRows] = useState<readonly Row[]>([]);
  const [newer, setNewer] = useState(0);
  const [chosen, choose] = useState<ReadonlySet<string>>(new Set());
  useEffect(() => {
    if (!page.value) return;
    setRows(rowsOf(view.stalled ? page.value.items.filter(({ stalled }) => stalled) : page.value.items));
    setNewer(0);
    choose(new Set());
  }, [page.value]);
  useSight(view, page.loading ? undefined : rows, setRows, setNewer);
  const again = useCallback(() => (view.cursor ? go({ ...view, cursor: undefined }) : page.again()), [address]);
  const shown = page.value && rows.length > 0;
  return (
    <>
      <Heading>{list.title}</Heading>
      <section class="card jobs" aria-label={list.title}>
        <Statuses view={view} />
        <Filters view={view} />
        <Bulk view={view} rows={rows} chosen={chosen} choose={choose} onDone={again} />
        {newer > 0 && (
          <div class="newer" role="status">
            <Button kind="main" onClick={again}>
              {list.newer(newer)} · {list.show}
            </Button>
          </div>
        )}
        {page.error && <Failed error={page.error} again={page.again} />}
        {!page.value && !page.error && <Bones rows={8} height={56} />}
        {shown && <JobTable rows={rows} chosen={chosen} choose={choose} old={page.loading || page.error !== undefined} />}
        {page.value && rows.length === 0 && !page.error && <Nothing view={view} next={page.value.next} />}
        {page.value && (page.value.next || view.cursor) && (
          <nav class="pager" aria-label={list.next}>
            {view.cursor && <Button onClick={() => go({ ...view, cursor: undefined })}>{list.first}</Button>}
            {page.value.next && <Button onClick={() => go({ ...view, cursor: page.value!.next! })}>{rows.length ? list.next : list.goOn}</Button>}
          </nav>
        )}
      </section>
    </>
  );
}

/** Keeps the rows live, and counts newer jobs where the list begins with the newest. */
function useSight(view: JobsView, rows: readonly Row[] | undefined, setRows: (change: (rows: readonly Row[]) => readonly Row[]) => void, setNewer: (newer: number) => void): void {
  const { live, now } = useLookout();
  const jobs = rows && watched(rows);
  const onTop = rows && !view.oldest && !view.cursor && !view.stalled;
  const newest = onTop ? newestOf(rows) : 0;
  const key = JSON.stringify([jobs, newest, fragmentOf({ screen: "jobs", ...view })]);
  useEffect(() => {
    if (!jobs) return;
    const { sort: _, cursor: __, ...query } = queryOf(view, now());
    live.look({
      jobs,
      query: onTop ? { ...query, newer: newest } : undefined,
      onNews: (news) => {
        setRows((before) => updated(before, news));
        if (news.newer !== undefined) setNewer(news.newer);
      },
    });
  }, [key]);
  useEffect(() => () => live.look(undefined), [live]);
}

function useLookout() {
  const server = useServer();
  return { live: server.live, now: () => server.now() };
}

function Statuses({ view }: { view: JobsView }) {
  const server = useServer();
  const { overview } = useLive();
  const queue = view.pipeline === undefined ? overview?.queue : undefined;
  const plain = !(view.tag || view.code || view.search || view.within);
  const address = fragmentOf({ screen: "jobs", ...view, status: [], stalled: undefined, cursor: undefined, oldest: false });
  const found = useAnswer(
    (signal) =>
      plain ? Promise.resolve(undefined) : server.ask<JobList>("GET", "/api/jobs", { query: { ...queryOf({ ...view, status: [], stalled: undefined, cursor: undefined }, server.now()), limit: 1, counts: 1 }, signal }),
    [server, address],
  );
  const counts = plain ? overview && statusCounts(overview.jobs, view.pipeline) : found.value?.counts;
  const all = counts && Object.values(counts).reduce((sum: number, value) => sum + (value ?? 0), 0);
  const toggle = (status: (typeof STATUSES)[number]) => view.status.includes(status) && view.status.length === 1;
  const show = (status: JobsView["status"], stalled?: true): void => go({ ...view, status, stalled, cursor: undefined });
  return (
    <div class="chips" role="group" aria-label={list.byStatus}>
      <button type="button" aria-pressed={view.status.length === 0 && !view.stalled} onClick={() => show([])}>
        {list.all} {all !== undefined && <span>{counted(all)}</span>}
      </button>
      {STATUSES.map((status) => (
        <button
          key={status}
          type="button"
          class={counts?.[status] ? status : ""}
          aria-pressed={view.status.includes(status)}
          onClick={() => show(toggle(status) ? [] : [status])}
        >
          {statuses[status]} {counts && <span>{counted(counts[status] ?? 0)}</span>}
        </button>
      ))}
      <button type="button" class={queue?.stalled ? "stalled" : ""} aria-pressed={!!view.stalled} onClick={() => show([], view.stalled ? undefined : true)}>
        {statuses.stalled} {plain && queue && <span>{counted(queue.stalled)}</span>}
      </button>
    </div>
  );
}

function Filters({ view }: { view: JobsView }) {
  const { overview } = useLive();
  const [text, type] = useState(view.code ?? view.search ?? "");
  const latest = useRef(view);
  latest.current = view;
  useEffect(() => type(view.code ?? view.search ?? ""), [view.code, view.search]);
  useEffect(() => {
    const wanted = text.trim();
    if (wanted === (latest.current.code ?? latest.current.search ?? "")) return;
    const timer = setTimeout(() => go({ ...latest.current, code: undefined, search: wanted || undefined, cursor: undefined }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const pipelines = [...new Set([...Object.keys(overview?.jobs ?? {}), ...(view.pipeline ? [view.pipeline] : [])])].sort();
  const set = (change: Partial<JobsView>) => go({ ...view, ...change, cursor: undefined });
  const active: ReadonlyArray<readonly [string, Partial<JobsView>]> = [
    ...(view.pipeline ? [[view.pipeline, { pipeline: undefined }] as const] : []),
    ...(view.tag ? [[list.tag(view.tag), { tag: undefined }] as const] : []),
    ...(view.code ? [[view.code, { code: undefined }] as const] : []),
    ...(view.search ? [[`“${view.search}”`, { search: undefined }] as const] : []),
    ...(view.within ? [[list.withins[view.within], { within: undefined }] as const] : []),
  ];
  return (
    <>
      <form class="filters" role="search" aria-label={list.filters} onSubmit={(event) => event.preventDefault()}>
        <Field label={list.search} hidden type="search" icon="search" placeholder={list.placeholder} value={text} onInput={type} />
        <Select label={list.pipeline} hidden value={view.pipeline ?? ""} options={[["", list.anyPipeline], ...pipelines.map((one) => [one, one] as const)]} onChange={(one) => set({ pipeline: one || undefined })} />
        <Select
          label={list.within}
          hidden
          value={view.within ?? ""}
          options={[["", list.anyTime], ...Object.entries(list.withins)]}
          onChange={(one) => set({ within: (one || undefined) as Within | undefined })}
        />
        <Select
          label={list.sort}
          hidden
          value={view.oldest ? "created" : ""}
          options={[["", list.newest], ["created", list.oldest]]}
          onChange={(one) => set({ oldest: one === "created" })}
        />
      </form>
      {active.length > 0 && (
        <ul class="active" aria-label={list.filters}>
          {active.map(([what, change]) => (
            <li key={what}>
              <button type="button" aria-label={list.remove(what)} onClick={() => set(change)}>
                <bdi>{what}</bdi> <span aria-hidden="true">✕</span>
              </button>
            </li>
          ))}
          {active.length > 1 && (
            <li>
              <Button kind="quiet" onClick={() => go({ status: [], oldest: view.oldest })}>
                {list.clear}
              </Button>
            </li>
          )}
        </ul>
      )}
    </>
  );
}

interface JobTableProps {
  readonly rows: readonly Row[];
  readonly chosen: ReadonlySet<string>;
  readonly choose: (chosen: ReadonlySet<string>) => void;
  /** What is shown is about to be replaced, or could not be. */
  readonly old: boolean;
}

function JobTable({ rows, chosen, choose, old }: JobTableProps) {
  const now = useNow();
  const { mayChange } = useServer();
  const there = useMemo(() => rows.filter(({ gone }) => !gone).map(({ job }) => job.jobId), [rows]);
  const all = there.length > 0 && there.every((id) => chosen.has(id));
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    choose(next);
  };
  return (
    <Wide label={list.title} old={old}>
      <table class="list" role="table">
        <thead role="rowgroup">
          <tr role="row">
            <th role="columnheader" scope="col" class="pick">
              <input type="checkbox" aria-label={list.chooseAll} disabled={!mayChange} checked={all} onChange={() => choose(new Set(all ? [] : there))} />
            </th>
            <th role="columnheader" scope="col">{list.state}</th>
            <th role="columnheader" scope="col">{list.job}</th>
            <th role="columnheader" scope="col">{list.done}</th>
            <th role="columnheader" scope="col" class="num">{list.failed}</th>
            <th role="columnheader" scope="col" class="num">{list.age}</th>
            <th role="columnheader" scope="col" class="num">{list.attempt}</th>
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <JobRow key={row.job.jobId} row={row} now={now} chosen={chosen.has(row.job.jobId)} mayChoose={mayChange} toggle={toggle} />
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

interface JobRowProps {
  readonly row: Row;
  readonly now: number;
  readonly chosen: boolean;
  readonly mayChoose: boolean;
  readonly toggle: (id: string) => void;
}

function JobRow({ row: { job, gone }, now, chosen, mayChoose, toggle }: JobRowProps) {
  const { jobId, pipeline, error, worker, processedCount, totalCount, failureCount, createdAt, attempt } = job;
  const done = shareOf(job);
  const name = nameOf(job);
  return (
    <tr role="row" class={`${chosen ? "on" : ""}${gone ? " gone" : ""}`}>
      <td role="cell" class="pick">
        <input type="checkbox" aria-label={list.choose(`${name} ${shortId(jobId)}`)} disabled={!mayChoose || gone} checked={chosen} onChange={() => toggle(jobId)} />
      </td>
      <td role="cell" class="at-state">
        <StatusMark job={job} gone={gone} />
        {job.stalled && <small>{list.nothingFor(since(job.lastUpdateTime, now))}</small>}
      </td>
      <td role="cell" class="at-name">
        <a href={fragmentOf({ screen: "job", id: jobId })}>
          <bdi>{name}</bdi>
        </a>
        <small>
          {job.fileName !== undefined && <bdi>{pipeline} · </bdi>}
          {shortId(jobId)}
          {error && <code class={job.status === "failed" ? "bad" : ""}> · {error.code}</code>}
          {worker && <bdi> · {worker}</bdi>}
        </small>
      </td>
      <td role="cell" class="at-done">
        <span class={`mini ${job.stalled || job.status === "paused" ? "gold" : job.status === "failed" ? "bad" : job.status === "canceled" ? "off" : ""}`} aria-hidden="true">
          <i style={{ transform: `scaleX(${done ?? 0})` }} />
        </span>
        <small>
          {number(processedCount)}
          {totalCount > 0 && ` / ${number(totalCount)}`}
        </small>
      </td>
      <td role="cell" class={`num at-failed${failureCount ? " bad" : ""}`} data-label={list.failed}>
        {number(failureCount)}
      </td>
      <td role="cell" class="num at-age" data-label={list.age} title={moment(createdAt)}>
        {since(createdAt, now)}
      </td>
      <td role="cell" class="num at-attempt" data-label={list.attempt}>
        {number(attempt)}
      </td>
    </tr>
  );
}

function Nothing({ view, next }: { view: JobsView; next: string | null }) {
  if (next) return <Empty>{list.short}</Empty>;
  if (isNarrowed(view) || view.cursor) {
    return (
      <Empty>
        <h2>{list.noMatch}</h2>
        <p>{list.noMatchHint}</p>
        <Button onClick={() => go({ status: [], oldest: view.oldest })}>{list.clear}</Button>
      </Empty>
    );
  }
  return (
    <Empty>
      <h2>{list.none}</h2>
      <p>{list.noneHint}</p>
      <code>{list.noneCommand}</code>
    </Empty>
  );
}

