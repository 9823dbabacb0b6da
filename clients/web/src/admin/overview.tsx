// How the server stands: what is wrong first, then the promises, what happens now, and how long things take.
import { bytes, duration, number } from "../parts/format.js";
import { Select } from "../parts/index.js";
import { byPipeline, charts, counted, goals, live as words, now as nowWords, overview as texts, statuses } from "../strings/admin.en.js";
import { type Window, STATUSES, WINDOWS, fragmentOf, jobsWith } from "./address.js";
import { Chart } from "./chart.js";
import { type Goal, NODE_SECONDS, type Problem, goalsOf, problemsIn, statusCounts } from "./figures.js";
import { clock, day, rough, share, since } from "./format.js";
import { Bones, Failed, Heading, Wide, useAnswer, useLive, useNow, useServer } from "./shared.js";
import type { Overview, Series } from "./types.js";

export function OverviewScreen({ window }: { window: Window }) {
  const { overview, connection } = useLive();
  if (!overview) {
    return (
      <>
        <Heading>{connection === "lost" ? words.never : texts.waiting}</Heading>
        <Bones rows={1} height={168} />
        <Bones rows={1} height={132} />
        <Bones rows={2} height={220} />
      </>
    );
  }
  return (
    <div class={`stack${connection === "lost" ? " old" : ""}`}>
      <Verdict overview={overview} />
      <Goals success={overview.success} />
      <Now overview={overview} />
      <Charts window={window} overview={overview} />
      <Pipelines jobs={overview.jobs} />
    </div>
  );
}

function Verdict({ overview }: { overview: Overview }) {
  const now = useNow();
  const problems = problemsIn(overview);
  const failed = statusCounts(overview.jobs).failed ?? 0;
  return (
    <section class={`verdict card ${problems.some(({ tone }) => tone === "bad") ? "bad" : problems.length ? "warn" : "good"}`}>
      <Heading>{problems.length ? texts.wrong(problems.length) : texts.well}</Heading>
      {problems.length > 0 && (
        <ul aria-label={texts.problems}>
          {problems.map((problem) => {
            const [text, href] = described(problem, now);
            return (
              <li key={text} class={problem.tone}>
                <span aria-hidden="true">{problem.tone === "bad" ? "✕" : "!"}</span>
                {href ? <a href={href}>{text}</a> : text}
              </li>
            );
          })}
        </ul>
      )}
      {failed > 0 && (
        <p class="fine">
          <a href={jobsWith({ status: ["failed"] })}>{texts.failed(failed)}</a>
        </p>
      )}
    </section>
  );
}

/** A problem in words, and where the operator finds what is behind it. */
function described(problem: Problem, now: number): readonly [text: string, href: string | undefined] {
  switch (problem.kind) {
    case "goal": {
      const { name, target } = goals[problem.goal.name];
      return [texts.missed(name, valueOf(problem.goal), target), behind(problem.goal)];
    }
    case "stalled": {
      const [only, ...others] = problem.ids;
      const href = only && others.length === 0 ? fragmentOf({ screen: "job", id: only }) : jobsWith({ stalled: true, oldest: true });
      return [texts.stalled(problem.jobs, problem.since === undefined ? "" : since(problem.since, now)), href];
    }
    case "queue":
      return [texts.queue(duration(problem.seconds), problem.jobs), jobsWith({ status: ["queued"], oldest: true })];
    case "disk":
      return [texts.disk(bytes(problem.bytes), share(Math.floor(problem.share * 100) / 100)), undefined];
    case "givenUp":
      return [texts.givenUp(problem.webhooks), fragmentOf({ screen: "webhooks", status: "given_up" })];
    case "node":
      return [texts.node(problem.name || nowWords.node, duration(problem.seconds)), undefined];
  }
}

const valueOf = ({ name, bad, of }: Goal): string =>
  of === 0 ? "–" : name === "unauthorized" ? number(bad) : share(name === "recovered" ? (of - bad) / of : bad / of);

/** The jobs behind a figure; the others are not kept by job. */
const behind = ({ name }: Goal): string | undefined => (name === "recovered" ? jobsWith({ status: ["queued", "running", "failed"] }) : undefined);

function Goals({ success }: { success: Overview["success"] }) {
  return (
    <section class="goals" aria-labelledby="goals">
      <h2 id="goals" class="sr">
        {goals.title}
      </h2>
      {goalsOf(success).map((goal) => {
        const { name, of, target } = goals[goal.name];
        const href = behind(goal);
        return (
          <div key={goal.name} class={`card ${goal.met === undefined ? "" : goal.met ? "met" : "missed"}`}>
            <h3>{href ? <a href={href}>{name}</a> : name}</h3>
            <strong>{valueOf(goal)}</strong>
            <p class="fine">
              {goal.of === 0 ? goals.none : goals.share(number(goal.bad), number(goal.of), of)}, {goals[goal.period]}
              <br />
              {goal.others.filter(({ of: all }) => all > 0 && all !== goal.of).map(({ period, bad, of: all }) => `${goals[period]} ${goals.ratio(number(bad), number(all))}`).join(" · ")}
            </p>
            <p class="target">
              {goal.met !== undefined && (
                <>
                  <span aria-hidden="true">{goal.met ? "✓ " : "✕ "}</span>
                  <span class="sr">{goal.met ? goals.met : goals.missed}, </span>
                </>
              )}
              {goals.target(target)}
            </p>
          </div>
        );
      })}
    </section>
  );
}

function Now({ overview }: { overview: Overview }) {
  const { jobs, queue, nodes, followers, disk, workers, at } = overview;
  const { rates } = useLive();
  const now = useNow();
  const running = Object.values(jobs).reduce((sum, by) => sum + (by.running ?? 0) + (by.canceling ?? 0), 0);
  const slots = nodes.reduce((sum, node) => sum + node.workers, 0);
  const all = Object.values(followers).reduce((sum, value) => sum + value, 0);
  const away = workers.filter(({ remote }) => remote);
  const inside = workers.filter(({ remote }) => !remote).reduce((sum, { jobs: held }) => sum + held.length, 0);
  return (
    <section class="now card" aria-labelledby="now">
      <h2 id="now">{nowWords.title}</h2>
      <dl class="figures">
        <Figure name={nowWords.running} value={number(running)} note={nowWords.workers(slots)} href={jobsWith({ status: ["running", "canceling"] })} />
        <Figure
          name={nowWords.queued}
          value={number(queue.length)}
          note={queue.length ? nowWords.oldest(duration(queue.ageSeconds + Math.max(0, now - at) / 1000)) : ""}
          href={jobsWith({ status: ["queued"], oldest: true })}
        />
        <Figure name={nowWords.stalled} value={number(queue.stalled)} tone={queue.stalled ? "warn" : undefined} href={jobsWith({ stalled: true, oldest: true })} />
        <Figure
          name={nowWords.followers}
          value={number(all)}
          note={Object.entries(followers).map(([way, value]) => `${number(value)} ${nowWords.transports[way] ?? way}`).join(" · ")}
        />
        <Figure name={nowWords.items} value={rates ? nowWords.rate(rough(rates.items)) : "–"} note={rates && nowWords.commits(rough(rates.commits))} />
        {disk && <Figure name={nowWords.disk} value={bytes(disk.freeBytes)} note={nowWords.of(bytes(disk.totalBytes), bytes(disk.dataBytes))} />}
      </dl>
      <ul class="nodes" aria-label={nowWords.nodes}>
        {nodes.map(({ name, version, workers: slotsHere, busy = nodes.length === 1 ? inside : undefined, seenAt = at }, n) => {
          const seconds = (now - seenAt) / 1000;
          const tone = seconds > NODE_SECONDS.bad ? "bad" : seconds > NODE_SECONDS.warn ? "warn" : "good";
          return (
            <li key={name ?? n} class={tone}>
              <b>{name ?? nowWords.node}</b> {busy === undefined ? nowWords.slots(number(slotsHere)) : nowWords.busy(number(busy), number(slotsHere))} · {version}
              {tone !== "good" && ` · ${nowWords.seen(since(seenAt, now))}`}
            </li>
          );
        })}
        {away.map(({ name, jobs: held }) => (
          <li key={`away ${name}`} class="good">
            <b>
              <bdi>{name}</bdi>
            </b>{" "}
            {nowWords.workersAway.toLowerCase()} · {held.map((id) => <a key={id} href={fragmentOf({ screen: "job", id })}>{id.slice(0, 8)}</a>).slice(0, 3)}
          </li>
        ))}
      </ul>
    </section>
  );
}

interface FigureProps {
  readonly name: string;
  readonly value: string;
  readonly note?: string | undefined;
  readonly tone?: "warn" | "bad" | undefined;
  readonly href?: string | undefined;
}

export function Figure({ name, value, note, tone, href }: FigureProps) {
  return (
    <div class={tone ?? ""}>
      <dt>{name}</dt>
      <dd>
        {href ? <a href={href}>{value}</a> : value} {note && <small>{note}</small>}
      </dd>
    </div>
  );
}

const MEASURED = ["queueWait", "jobDuration", "commit", "commitToReceipt"] as const;
/** How often a chart is asked for, in milliseconds: as often as it has a new point. */
const RENEWED: Readonly<Record<Window, number>> = { "15m": 10_000, "6h": 300_000, "7d": 600_000 };

const SPANS: Readonly<Record<Window, number>> = { "15m": 900_000, "6h": 21_600_000, "7d": 604_800_000 };

function Charts({ window, overview }: { window: Window; overview: Overview }) {
  const server = useServer();
  const step = Math.floor(overview.at / RENEWED[window]);
  const { value, error, again } = useAnswer((signal) => server.ask<Series>("GET", "/api/admin/series", { query: { window }, signal }), [server, window, step]);
  const when = window === "15m" ? clock : day;
  return (
    <section class="charts" aria-labelledby="charts">
      <div class="head">
        <h2 id="charts">{charts.title}</h2>
        <Select
          label={charts.window}
          hidden
          value={window}
          options={WINDOWS.map((one) => [one, charts.windows[one]] as const)}
          onChange={(one) => (location.hash = fragmentOf({ screen: "overview", window: one as Window }))}
        />
      </div>
      {error && <Failed error={error} again={again} />}
      <div class="grid-of-charts">
        {value
          ? MEASURED.map((name) => {
              const { p50 = [], p99 = [] } = value.series[name] ?? {};
              const line = (values: ReadonlyArray<number | null>) => value.at.map((at, n) => [at, values[n] ?? null] as const);
              return <Chart key={name} title={charts[name]} from={overview.at - SPANS[window]} begin={charts.ago[window]} when={when} lines={[{ name: "p50", points: line(p50) }, { name: "p99", points: line(p99) }]} />;
            })
          : !error && MEASURED.map((name) => <Bones key={name} rows={1} height={200} />)}
        <Codes errors={overview.errors} />
      </div>
    </section>
  );
}

const MOST_CODES = 8;

function Codes({ errors }: { errors: Overview["errors"] }) {
  const found = Object.entries(errors).filter(([, value]) => value > 0).sort(([, one], [, other]) => other - one).slice(0, MOST_CODES);
  const most = found[0]?.[1] ?? 1;
  return (
    <figure class="chart card codes">
      <figcaption>
        <h3>{charts.errors}</h3>
        <span class="fine">{charts.errorsSince}</span>
      </figcaption>
      {found.length === 0 && <p class="fine nothing">{charts.noErrors}</p>}
      <ul>
        {found.map(([code, value]) => (
          <li key={code}>
            <a href={jobsWith({ code })}>
              <code>{code}</code>
              <b>{number(value)}</b>
              <i style={{ transform: `scaleX(${value / most})` }} />
              <span class="sr">{charts.showJobs}</span>
            </a>
          </li>
        ))}
      </ul>
    </figure>
  );
}

function Pipelines({ jobs }: { jobs: Overview["jobs"] }) {
  const names = Object.keys(jobs).sort();
  return (
    <section class="card pipelines" aria-labelledby="pipelines">
      <h2 id="pipelines">{byPipeline.title}</h2>
      {names.length === 0 ? (
        <p class="fine">{byPipeline.none}</p>
      ) : (
        <Wide label={byPipeline.title}>
          <table>
            <thead>
              <tr>
                <th scope="col">{byPipeline.pipeline}</th>
                {STATUSES.map((status) => (
                  <th key={status} scope="col" class="num">
                    {statuses[status]}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {names.map((pipeline) => (
                <tr key={pipeline}>
                  <th scope="row">
                    <a href={jobsWith({ pipeline })}>
                      <bdi>{pipeline}</bdi>
                    </a>
                  </th>
                  {STATUSES.map((status) => {
                    const value = jobs[pipeline]?.[status] ?? 0;
                    return (
                      <td key={status} class={`num${value && status === "failed" ? " bad" : ""}`}>
                        {value ? <a href={jobsWith({ pipeline, status: [status] })}>{counted(value)}</a> : <span class="fine">0</span>}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
    </section>
  );
}
