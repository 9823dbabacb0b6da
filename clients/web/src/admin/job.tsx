// One job: how far it is, what became of it, and what can be done about it.
import type { State } from "@shelfwire/client";
import { useEffect, useState } from "preact/hooks";
import { bytes, duration, number } from "../parts/format.js";
import { Alert, Bar, Button } from "../parts/index.js";
import { actions, job as texts } from "../strings/admin.en.js";
import { fragmentOf, jobsWith } from "./address.js";
import { moment, share, since } from "./format.js";
import { Errors, Items } from "./items.js";
import { nameOf } from "./jobs.js";
import { actOnOne } from "./many.js";
import { Figure } from "./overview.js";
import { type Action, canDo, hasEnded, shareOf } from "./rows.js";
import { Bones, Failed, Heading, asShelfwireError, shortId, useAnswer, useNow, useServer } from "./shared.js";
import { StatusMark } from "./status.js";
import type { JobDetails, JobSummary, TimelineEvent } from "./types.js";

const ACTIONS: readonly Action[] = ["pause", "resume", "retry", "cancel", "delete"];

const pathOf = (id: string, below = ""): string => `/api/jobs/${encodeURIComponent(id)}${below}`;

export function JobScreen({ id }: { id: string }) {
  const server = useServer();
  const first = useAnswer((signal) => server.ask<State>("GET", pathOf(id), { signal }), [server, id]);
  const [summary, show] = useState<JobSummary | undefined>(undefined);
  const [gone, lose] = useState(false);
  const ended = first.value !== undefined && hasEnded(first.value);
  useEffect(() => {
    server.live.look({
      jobs: [id],
      onNews: (news) => {
        for (const job of news.items) show(job);
        if (news.gone.includes(id)) lose(true);
      },
    });
    return () => server.live.look(undefined);
  }, [server, id]);
  useEffect(() => {
    if (summary && hasEnded(summary) && !ended) first.again();
  }, [summary?.status]);
  const job = summary;
  if (first.error || gone) {
    return (
      <>
        <Back />
        <Heading>{shortId(id)}</Heading>
        {gone ? <Alert kind="warn"><p>{texts.gone}</p></Alert> : first.error && ("status" in first.error && first.error.status === 404 ? <Alert><p>{texts.unknown}</p></Alert> : <Failed error={first.error} again={first.again} />)}
      </>
    );
  }
  if (!job || !first.value) {
    return (
      <>
        <Back />
        <Heading>{shortId(id)}</Heading>
        <Bones rows={1} height={260} />
        <Bones rows={4} height={56} />
      </>
    );
  }
  return (
    <div class="stack">
      <Back />
      <Card job={job} state={first.value} />
      <div class="two">
        <Timeline id={id} version={`${job.status} ${job.attempt} ${job.pausing} ${job.stalled}`} />
        <Errors id={id} failures={job.failureCount} />
      </div>
      <Items id={id} processed={job.processedCount} />
      <Facts job={job} />
      <Json id={id} seq={job.seq} />
    </div>
  );
}

const Back = () => (
  <p class="back">
    <a href={jobsWith({})} onClick={(event) => history.length > 1 && document.referrer === "" && (event.preventDefault(), history.back())}>
      ← {texts.back}
    </a>
  </p>
);

function Card({ job, state }: { job: JobSummary; state: State }) {
  const now = useNow();
  const done = shareOf(job);
  const { jobId, pipeline, processedCount, totalCount, failureCount, attempt, worker, lastUpdateTime, createdAt, etaSeconds, error } = job;
  return (
    <section class="card job" aria-labelledby="job">
      <div class="title">
        <div>
          <p class="fine">
            <bdi>{pipeline}</bdi> · <StatusMark job={job} />
          </p>
          <div id="job">
            <Heading>
              <bdi>{nameOf(job)}</bdi>
            </Heading>
          </div>
          <CopyId id={jobId} />
        </div>
        <Actions job={job} />
      </div>
      {job.stalled && (
        <Alert kind="warn">
          <p>{texts.stalled(since(lastUpdateTime, now))}</p>
        </Alert>
      )}
      {error && (
        <Alert kind={job.status === "canceled" ? "warn" : "bad"}>
          <p>
            <a href={jobsWith({ code: error.code })}>
              <code>{error.code}</code>
            </a>{" "}
            {error.message}
          </p>
        </Alert>
      )}
      <Bar label={texts.progress} share={done ?? 0} text={share(Math.floor((done ?? 0) * 10) / 10)} tone={job.stalled || job.status === "paused" ? "gold" : job.status === "failed" ? "bad" : undefined} />
      <dl class="figures">
        <Figure name={texts.done} value={number(processedCount)} note={totalCount ? texts.of(number(totalCount)) : ""} />
        <Figure name={texts.failed} value={number(failureCount)} tone={failureCount ? "bad" : undefined} />
        {hasEnded(job) ? (
          <Figure name={texts.took} value={duration(job.duration ?? 0)} />
        ) : (
          <Figure name={texts.left} value={etaSeconds === undefined ? "–" : duration(Math.max(0, etaSeconds - (now - lastUpdateTime) / 1000))} />
        )}
        <Figure name={texts.age} value={since(createdAt, now)} note={texts.changed(since(lastUpdateTime, now))} />
        <Figure name={texts.attempt} value={number(attempt)} note={worker ? texts.heldBy(worker) : ""} />
      </dl>
      {(job.currentTitle ?? state.currentTitle) && (
        <p class="fine">
          {texts.last} <bdi class="serif">{job.currentTitle ?? state.currentTitle}</bdi>
        </p>
      )}
    </section>
  );
}

function CopyId({ id }: { id: string }) {
  const [copied, set] = useState(false);
  return (
    <p class="fine id">
      <code>{id}</code>
      <Button kind="quiet" onClick={() => void navigator.clipboard?.writeText(id).then(() => set(true), () => {})}>
        <span role="status">{copied ? texts.copied : texts.copy}</span>
      </Button>
    </p>
  );
}

function Actions({ job }: { job: JobSummary }) {
  const server = useServer();
  const [asked, ask] = useState<Action | undefined>(undefined);
  const [doing, begin] = useState<Action | undefined>(undefined);
  const [error, fail] = useState<ReturnType<typeof asShelfwireError> | undefined>(undefined);
  const act = async (action: Action): Promise<void> => {
    ask(undefined);
    fail(undefined);
    begin(action);
    try {
      const made = await actOnOne(server, action, job.jobId);
      if (action === "retry" && made?.jobId) location.hash = fragmentOf({ screen: "job", id: made.jobId });
      if (action === "delete") location.hash = jobsWith({});
    } catch (thrown) {
      fail(asShelfwireError(thrown));
    }
    begin(undefined);
  };
  const press = (action: Action): unknown => (texts.confirm[action] ? ask(action) : act(action));
  const bad = (action: Action) => (action === "cancel" || action === "delete" ? "bad" : undefined);
  return (
    <div class="actions">
      {asked ? (
        <div class="confirm" role="group" aria-label={texts.confirm[asked]}>
          <p>{texts.confirm[asked]}</p>
          <Button onClick={() => ask(undefined)}>{texts.keep}</Button>
          <Button kind="bad" onClick={() => act(asked)}>
            {actions[asked].text}
          </Button>
        </div>
      ) : (
        ACTIONS.filter((action) => canDo(action, job)).map((action) => (
          <Button key={action} kind={bad(action)} disabled={!server.mayChange || doing !== undefined} onClick={() => press(action)}>
            {doing === action ? `${actions[action].doing}…` : actions[action].text}
          </Button>
        ))
      )}
      {error && <Failed error={error} />}
    </div>
  );
}

function Timeline({ id, version }: { id: string; version: string }) {
  const server = useServer();
  const { value, error, again } = useAnswer((signal) => server.ask<{ events: readonly TimelineEvent[] }>("GET", pathOf(id, "/timeline"), { signal }), [server, id, version]);
  const now = useNow();
  const events = value && [...value.events].reverse();
  return (
    <section class="card timeline" aria-labelledby="timeline">
      <h2 id="timeline">{texts.timeline}</h2>
      {error && <Failed error={error} again={again} />}
      {!value && !error && <Bones rows={4} height={40} />}
      {events?.length === 0 && <p class="fine">{texts.noTimeline}</p>}
      {events && events.length > 0 && (
        <ol>
          {events.map(({ at, kind, attempt, node, by, code }, n) => (
            <li key={`${at} ${kind} ${n}`} class={kind}>
              <span>
                <b>{texts.kinds[kind] ?? kind}</b>
                {code && (
                  <>
                    {" "}
                    <code>{code}</code>
                  </>
                )}
                <small>
                  {[attempt !== undefined && texts.attemptNumber(number(attempt)), node, by && texts.by(by)].filter(Boolean).map((part) => (
                    <bdi key={String(part)}>{part}</bdi>
                  ))}
                </small>
              </span>
              <time dateTime={new Date(at).toISOString()} title={moment(at)}>
                {texts.ago(since(at, now))}
              </time>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}

function Facts({ job }: { job: JobSummary }) {
  const server = useServer();
  const { jobId: id, status, retryOf, tags, createdAt, expiresAt, metadata } = job;
  const { value, error, again } = useAnswer((signal) => server.ask<JobDetails>("GET", `/api/admin/jobs/${encodeURIComponent(id)}`, { signal }), [server, id, status]);
  const inputs = value?.inputs.map(({ name, size }) => ({ name, size })) ?? [];
  const followers = Object.entries(value?.followers ?? {});
  return (
    <section class="card facts" aria-labelledby="facts">
      <h2 id="facts">{texts.details}</h2>
      {error && <Failed error={error} again={again} />}
      <dl>
        <div>
          <dt>{texts.made}</dt>
          <dd>{moment(createdAt)}</dd>
        </div>
        <div>
          <dt>{texts.expires}</dt>
          <dd>{moment(expiresAt)}</dd>
        </div>
        <div>
          <dt>{texts.input}</dt>
          {metadata?.fileName !== undefined && (
            <dd>
              <bdi>{metadata.fileName}</bdi>
              {metadata.fileSize !== undefined && `, ${bytes(metadata.fileSize)}`}
            </dd>
          )}
          {value && inputs.length === 0 && <dd class="fine">{texts.noInput}</dd>}
          {inputs.map(({ name, size }) => (
            <dd key={name}>
              <code>{name}</code>, {bytes(size)}
            </dd>
          ))}
        </div>
        <div>
          <dt>{texts.tokens}</dt>
          {value?.tokens.length === 0 && <dd class="fine">{texts.noTokens}</dd>}
          {value?.tokens.map(({ scopes, expiresAt: until }, n) => (
            <dd key={n}>
              {scopes.join(", ")} <small>{texts.tokenEnds(moment(until))}</small>
            </dd>
          ))}
        </div>
        <div>
          <dt>{texts.followers}</dt>
          {value && followers.length === 0 && <dd class="fine">{texts.noFollowers}</dd>}
          {followers.map(([way, n]) => (
            <dd key={way}>
              {number(n)} {way}
            </dd>
          ))}
        </div>
        {retryOf && (
          <div>
            <dt>{texts.retries}</dt>
            <dd>
              <a href={fragmentOf({ screen: "job", id: retryOf })}>{shortId(retryOf)}</a>
            </dd>
          </div>
        )}
        {tags && (
          <div>
            <dt>{texts.tags}</dt>
            {tags.map((tag) => (
              <dd key={tag}>
                <a href={jobsWith({ tag })}>
                  <bdi>{tag}</bdi>
                </a>
              </dd>
            ))}
          </div>
        )}
      </dl>
    </section>
  );
}

function Json({ id, seq }: { id: string; seq: number }) {
  const server = useServer();
  const [open, set] = useState(false);
  return (
    <details class="card json" onToggle={(event) => set(event.currentTarget.open)}>
      <summary>{texts.json}</summary>
      {open && <JsonText key={server.session.key} id={id} seq={seq} />}
    </details>
  );
}

function JsonText({ id, seq }: { id: string; seq: number }) {
  const server = useServer();
  const { value, error, again } = useAnswer((signal) => server.ask<State>("GET", pathOf(id), { signal }), [server, id, seq]);
  if (error) return <Failed error={error} again={again} />;
  if (!value) return <Bones rows={6} height={16} />;
  const shown = { ...value, ...(value.results !== undefined && { results: texts.results }) };
  return (
    <pre tabIndex={0} aria-label={texts.json}>
      {JSON.stringify(shown, undefined, 2)}
    </pre>
  );
}
