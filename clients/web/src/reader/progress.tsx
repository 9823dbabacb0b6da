import type { UsedJob } from "@shelfwire/client/react";
import { type ComponentChildren, Fragment } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Alert, Bar, Button, bytes, count, duration, number, percent } from "../parts/index.js";
import { type Kind, reader } from "../strings/en.js";
import { Notify, Share } from "./extras.js";
import type { KeptJob } from "./kept.js";
import { client, explained } from "./server.js";

const text = reader.job;
const QUEUE_MS = 2_000;

export interface ProgressProps {
  readonly job: KeptJob;
  readonly view: UsedJob;
  readonly kind: Kind;
  /** Failed items that were done by now, in other attempts. */
  readonly mended: number;
  /** Books on the photos of a scan that has ended. */
  readonly books: number | undefined;
  readonly onRest: () => Promise<void>;
  /** Shows the failed items; undefined where they stand on the page already, or may not be seen. */
  readonly onMend: (() => void) | undefined;
}

/** The card on top: what the job is, how far, and how it ended. */
export function Progress({ job, view, kind, mended, books, onRest, onMend }: ProgressProps) {
  const { total, ending, metadata } = view;
  const about = [kind.job, metadata?.fileSize && bytes(metadata.fileSize), total && count(total, kind.items)].filter(Boolean);
  return (
    <section class="progress" aria-label={text.progress}>
      <div class="head">
        <div>
          <p class="kind">{about.join(" · ")}</p>
          <h1>
            <bdi>{job.name}</bdi>
          </h1>
        </div>
        {!ending && !view.error && !job.watching && <Actions view={view} />}
      </div>
      {ending ? <Verdict view={view} kind={kind} mended={mended} books={books} onRest={job.watching ? undefined : onRest} onMend={onMend} /> : <Running job={job} view={view} kind={kind} />}
    </section>
  );
}

function Actions({ view }: { view: UsedJob }) {
  const [asking, ask] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  useEffect(() => setBusy(false), [view.phase]);
  const act = async (what: "pause" | "resume" | "cancel"): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    ask(false);
    try {
      await view[what]();
    } catch (error) {
      setProblem(error);
      setBusy(false);
    }
  };
  if (view.phase === "canceling") return null;
  return (
    <div class="actions">
      {asking ? (
        <div class="asking" role="group" aria-label={text.cancel}>
          <p>{text.cancelAsk}</p>
          <Button kind="bad" focus onClick={() => act("cancel")}>
            {text.cancelYes}
          </Button>
          <Button onClick={() => ask(false)}>{text.cancelNo}</Button>
        </div>
      ) : (
        <>
          {view.phase === "paused" ? (
            <Button icon="play" disabled={busy} onClick={() => act("resume")}>
              {text.resume}
            </Button>
          ) : (
            <Button icon="pause" disabled={busy} onClick={() => act("pause")}>
              {text.pause}
            </Button>
          )}
          <Button kind="bad" icon="cross" disabled={busy} onClick={() => ask(true)}>
            {text.cancel}
          </Button>
        </>
      )}
      {problem !== undefined && <Alert>{explained(problem)}</Alert>}
    </div>
  );
}

function Running({ job, view, kind }: { job: KeptJob; view: UsedJob; kind: Kind }) {
  const { total, processed, failures, rate, eta, connection, phase } = view;
  const share = total ? Math.min(1, processed / total) : undefined;
  const held = phase === "paused" || connection === "waiting" || connection === "offline" || view.error;
  const tenth = share === undefined ? undefined : Math.floor(share * 10);
  const spoken = useRef<[number | undefined, string]>([undefined, text.starting]);
  if (tenth !== spoken.current[0]) spoken.current = [tenth, share === undefined ? text.starting : text.spoken(percent(share), number(processed), number(total!))];
  return (
    <>
      {total === 1 ? null : (
        <div class="figures">
          <span class="share">{share === undefined ? text.unknown : percent(share)}</span>
          <dl>
            <Figure name={text.done} note={total ? text.of(number(total)) : ""}>
              {number(processed)}
            </Figure>
            <Figure name={text.rate} note={rate ? text.perSecond(kind.items) : ""}>
              {rate ? number(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate)) : text.unknown}
            </Figure>
            <Figure name={text.left}>{eta === undefined || held ? text.unknown : duration(eta)}</Figure>
            <Figure name={kind.bad} bad={failures > 0}>
              {number(failures)}
            </Figure>
          </dl>
        </div>
      )}
      <Bar label={text.progressOf(job.name)} share={total === 1 && !processed && !held ? undefined : (share ?? (held ? 0 : undefined))} text={spoken.current[1]} tone={held ? "gold" : undefined} />
      <Now job={job} view={view} />
      {view.error ? (
        <Alert>
          <p>{text.lost}</p>
          <Button onClick={view.retryConnection}>{text.connect}</Button>
        </Alert>
      ) : (
        <div class="extras">
          <Notify job={job} />
          {!job.watching && <Share job={job} />}
        </div>
      )}
    </>
  );
}

function Figure({ name, note, bad, children }: { name: string; note?: string; bad?: boolean; children: ComponentChildren }) {
  return (
    <div class={bad ? "bad" : ""}>
      <dt>{name}</dt>
      <dd>
        {children} {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

/** What happens at the moment: the newest book, or why there is none. */
function Now({ job, view }: { job: KeptJob; view: UsedJob }) {
  const left = useCountdown(view.wait, view.connection);
  const before = useQueue(job, view.phase === "waiting" && view.connection === "live");
  const held =
    view.connection === "waiting"
      ? text.reconnecting(left)
      : view.connection === "offline"
        ? text.offline
        : view.phase === "paused"
          ? text.paused
          : view.phase === "canceling"
            ? text.canceling
            : undefined;
  if (view.error) return null;
  if (held) {
    return (
      <p class="now held">
        {held}
      </p>
    );
  }
  if (view.title !== undefined && view.total !== 1) {
    return (
      <p class="now" aria-hidden="true">
        <cite>
          <bdi>{view.title}</bdi>
        </cite>
        {view.author && (
          <>
            {" · "}
            <bdi>{view.author}</bdi>
          </>
        )}
      </p>
    );
  }
  const waiting = before === undefined ? text.waiting : text.queued(before);
  return <p class="now">{view.phase === "waiting" ? waiting : (view.userMessage ?? text.running)}</p>;
}

/** Seconds left of a wait that began when `connection` changed. */
function useCountdown(wait: number | undefined, connection: string): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (connection !== "waiting" || wait === undefined) return;
    const end = performance.now() + wait * 1000;
    const tick = (): void => setLeft(Math.max(0, Math.ceil((end - performance.now()) / 1000)));
    tick();
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [wait, connection]);
  return left;
}

/** How many jobs are before one that waits, where the server knows; messages do not say it. */
function useQueue(job: KeptJob, waiting: boolean): number | undefined {
  const [before, setBefore] = useState<number>();
  useEffect(() => {
    if (!waiting) return;
    const ask = (): void => void client.state(job).then((state) => setBefore(state.queuePosition), () => {});
    ask();
    const timer = setInterval(ask, QUEUE_MS);
    return () => clearInterval(timer);
  }, [job.jobId, waiting]);
  return waiting ? before : undefined;
}

type Counted = readonly [figure: string, rest: string];

/** A sentence of counts, the figures set off. */
function Counts({ good, bad, after = "" }: { good: Counted; bad?: Counted | undefined; after?: string }) {
  return (
    <>
      <b>{good[0]}</b>
      {good[1]}
      {after}
      {bad && (
        <Fragment>
          {"; "}
          <b class="bad">{bad[0]}</b>
          {bad[1]}
        </Fragment>
      )}
      .
    </>
  );
}

interface VerdictProps extends Pick<ProgressProps, "view" | "kind" | "mended" | "books" | "onMend"> {
  readonly onRest: (() => Promise<void>) | undefined;
}

function Verdict({ view, kind, mended, books, onRest, onMend }: VerdictProps) {
  const [problem, setProblem] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const { ending, pipeline, processed, failures } = view;
  if (ending?.type === "job_complete") {
    const { successCount, failureCount, duration: seconds } = ending.payload;
    const bad = failureCount - mended;
    return (
      <>
        <p class="verdict complete" role="status">
          <Complete pipeline={pipeline} kind={kind} good={successCount + mended} bad={bad} books={books} /> <small>{text.took(seconds)}</small>
        </p>
        {bad > 0 && onMend && (
          <div class="choose">
            <Button icon="pen" onClick={onMend}>
              {text.mend}
            </Button>
          </div>
        )}
      </>
    );
  }
  if (!ending) return null;
  const rest = async (): Promise<void> => {
    setBusy(true);
    setProblem(undefined);
    await onRest?.().catch(setProblem);
    setBusy(false);
  };
  const { code, userMessage, retryable } = ending.payload;
  return (
    <>
      <div class={`verdict ${view.phase}`} role="status">
        <p>{code === "E_JOB_CANCELED" ? explainedCode(code, userMessage) : userMessage}</p>
        <small>{text.before(processed - failures, kind.items)}</small>
      </div>
      {retryable && onRest && (
        <div class="choose">
          <Button kind="main" icon="retry" disabled={busy} onClick={rest}>
            {text.rest}
          </Button>
        </div>
      )}
      {problem !== undefined && <Alert>{explained(problem)}</Alert>}
    </>
  );
}

const explainedCode = (code: string, userMessage: string): string => reader.errors[code] ?? userMessage;

interface CompleteProps {
  readonly pipeline: string | undefined;
  readonly kind: Kind;
  readonly good: number;
  readonly bad: number;
  readonly books: number | undefined;
}

function Complete({ pipeline, kind, good, bad, books }: CompleteProps) {
  const failed = (counted: (amount: number) => Counted): Counted | undefined => (bad ? counted(bad) : undefined);
  switch (pipeline) {
    case "csv_import":
      return <Counts good={text.imported(good)} bad={failed(text.notImported)} />;
    case "ai_scan":
      if (!good) return <Counts good={text.photosNot(bad)} />;
      return books === undefined ? <>{count(good, kind.items)}.</> : <Counts good={text.read(books)} after={text.onPhotos(good)} bad={failed(text.photosNot)} />;
    case "batch_enrichment":
      return <Counts good={text.found(good)} bad={failed(text.notFound)} />;
    default:
      return <Counts good={text.itemsDone(good, kind.items)} bad={failed(text.itemsFailed)} />;
  }
}
