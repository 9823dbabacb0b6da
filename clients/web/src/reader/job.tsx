import { type ImportPlan, type PhotoResult, RefusedError } from "@shelfwire/client";
import { type UsedJob, useJob } from "@shelfwire/client/react";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Chip, Tabs, type Tone, Top, percent } from "../parts/index.js";
import { type Kind, both, reader } from "../strings/en.js";
import { Books, useRows } from "./books.js";
import { useAnnouncement } from "./extras.js";
import { findJob, forgetJob, fresh, keepJob, type KeptJob, tokens } from "./kept.js";
import { Mend } from "./mend.js";
import { useMending } from "./mending.js";
import { Photos } from "./photos.js";
import { Progress } from "./progress.js";
import { Rows } from "./rows.js";
import { client, creator, explained, isUnauthorized } from "./server.js";
import { NoJob } from "./start.js";

const text = reader.job;
const FETCH_MS = 1_000;

export function JobPage({ id }: { id: string }) {
  const job = useMemo(() => findJob(id), [id]);
  if (job) return <Followed job={job} />;
  return (
    <>
      <Top />
      <NoJob heading={text.unknownHeading} lead={text.unknownLead} />
    </>
  );
}

function Followed({ job: kept }: { job: KeptJob }) {
  const view = useJob(kept, { client, store: tokens });
  const { pipeline, metadata } = view;
  const job = useMemo((): KeptJob => {
    if (!kept.watching && !kept.linked) return kept;
    return { ...kept, name: metadata?.fileName ?? kept.name, kind: pipeline ?? kept.kind };
  }, [kept, metadata?.fileName, pipeline]);
  useEffect(() => {
    if (job !== kept) keepJob({ ...(findJob(job.jobId) ?? job), name: job.name, kind: job.kind });
  }, [job]);
  const kind = both.kinds[view.pipeline ?? job.kind] ?? both.otherKind;
  const refused = view.error instanceof RefusedError ? view.error : undefined;
  useEffect(() => {
    if (isUnauthorized(refused)) forgetJob(job.jobId);
  }, [refused]);
  useTitle(view, job.name);
  useAnnouncement(job, !!view.ending, view.phase === "complete" ? text.finished : text.failed);
  return (
    <>
      <Top>{!refused && <Link view={view} />}</Top>
      {refused ? <NoJob heading={text.goneHeading} lead={explained(refused)} /> : <Shown job={job} view={view} kind={kind} />}
    </>
  );
}

function Shown({ job, view, kind }: { job: KeptJob; view: UsedJob; kind: Kind }) {
  const ended = !!view.ending;
  const [turned, turn] = useState<string>();
  const nothingGood = ended && view.failures > 0 && view.processed === view.failures;
  const tab = turned ?? (nothingGood ? "bad" : "good");
  const [good, bad] = useMemo(() => [new Rows(client, job, "ok"), new Rows(client, job, "failed")] as const, [job.jobId]);
  const mending = useMending(job, good, ended && !job.watching);
  const photos = (view.pipeline ?? job.kind) === "ai_scan";
  useEffect(
    () => () => {
      good.close();
      bad.close();
    },
    [good, bad],
  );
  const begun = view.processed > 0 && !job.watching;
  useFetching(good, begun && (photos || tab === "good"), view.processed, ended);
  useFetching(bad, begun && view.failures > 0 && (photos || tab === "bad"), view.processed, ended);
  useRows(bad);
  const read = useRows(good);
  const plan = useMemo(() => planIn(good, bad), [read > 0, bad.items.length > 0]);
  // Progress comes up to sixty times a second, and rows once: the table is left alone between.
  const table = useMemo(() => <Books rows={good} job={job} ended={ended} />, [good, job, ended]);
  const failures = Math.max(0, view.failures - mending.done);
  const books = photos && good.done ? good.items.reduce((sum, { result }) => sum + (result as PhotoResult).bookCount, 0) : undefined;
  const rest = async (): Promise<void> => {
    const retry = await creator().retry(fresh(job));
    keepJob({ ...retry, name: job.name, kind: job.kind, at: Date.now() });
    location.hash = `#/job/${retry.jobId}`;
  };
  return (
    <main class="job">
      <Progress job={job} view={view} kind={kind} mended={mending.done} books={books} onRest={rest} onMend={photos || !begun || tab === "bad" ? undefined : () => turn("bad")} />
      {photos && !job.watching && <Photos job={job} good={good} bad={bad} total={view.total} ended={ended} />}
      {!photos && begun && (
        <Tabs
          label={text.tabs}
          tabs={[
            { key: "good", text: kind.good, count: view.processed - failures },
            { key: "bad", text: kind.bad, count: failures, bad: true },
          ]}
          chosen={tab}
          onChoose={turn}
        >
          {tab === "good" ? (
            table
          ) : (
            <Mend job={job} rows={bad} nothing={!ended || view.failures ? undefined : view.phase === "complete" ? "complete" : "stopped"} mending={mending} plan={plan} ended={ended} allowed={!job.watching} />
          )}
        </Tabs>
      )}
    </main>
  );
}

/** How the file was read stands with its first row alone. */
const planIn = (good: Rows, bad: Rows): ImportPlan | undefined =>
  [...good.items.slice(0, 1), ...bad.items.slice(0, 1)].map(({ result, error }) => (result as { plan?: ImportPlan } | undefined)?.plan ?? error?.plan).find(Boolean);

/** Fetches rows while they are looked at: at most once a second while the job runs, and all of them once it has ended. */
function useFetching(rows: Rows, wanted: boolean, processed: number, ended: boolean): void {
  const state = useRef({ processed, fetched: -1 });
  state.current.processed = processed;
  useEffect(() => {
    if (!wanted) return;
    const fetch = (): void => {
      const { processed: now, fetched } = state.current;
      if (document.visibilityState !== "visible" || (!ended && now === fetched)) return;
      state.current.fetched = now;
      void rows.more(ended);
    };
    fetch();
    document.addEventListener("visibilitychange", fetch);
    const timer = ended ? undefined : setInterval(fetch, FETCH_MS);
    return () => {
      document.removeEventListener("visibilitychange", fetch);
      clearInterval(timer);
    };
  }, [rows, wanted, ended]);
}

/** How the page is connected to the server. */
function Link({ view }: { view: UsedJob }) {
  const { connection, transport, error } = view;
  if (error) return <Chip tone="bad">{reader.link.lost}</Chip>;
  if (connection === "closed") return null;
  const tones: Readonly<Record<typeof connection, Tone>> = { connecting: "plain", live: "good", waiting: "warn", offline: "warn" };
  return (
    <Chip tone={tones[connection]} beat={connection === "live"}>
      {reader.link[connection]}
      {connection === "live" && transport && <span class="via"> · {reader.link.via[transport]}</span>}
    </Chip>
  );
}

function useTitle({ ending, phase, processed, total }: UsedJob, name: string): void {
  const share = total ? `${percent(processed / total)} ` : "";
  const title = ending ? `${phase === "complete" ? "✓" : "✕"} ${name}` : `${share}${name}`;
  useEffect(() => {
    document.title = title;
    return () => {
      document.title = reader.title;
    };
  }, [title]);
}
