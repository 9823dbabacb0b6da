// What is done to chosen rows, or to all jobs that match: the server's number first, then the act, then its outcome.
import type { ShelfwireError } from "@shelfwire/client";
import { useEffect, useState } from "preact/hooks";
import { number } from "../parts/format.js";
import { Alert, Bar, Button, Dialog, Field } from "../parts/index.js";
import { actions, bulk, counted, list, session as sessionWords, statuses } from "../strings/admin.en.js";
import { type Filters, type JobsView, filterOf, fragmentOf, isNarrowed } from "./address.js";
import { type Outcome, actOn, actOnMatching, changedTo, count } from "./many.js";
import { type Action, type Row, canDo } from "./rows.js";
import { Failed, asShelfwireError, shortId, useServer } from "./shared.js";
import type { BulkAnswer } from "./types.js";

/** Above this many the number has to be typed. */
const TYPED_ABOVE = 100;
const ACTIONS: readonly Action[] = ["pause", "resume", "retry", "cancel", "delete"];
/** More failures than this are not shown. */
const MOST_SHOWN = 20;

export interface BulkProps {
  readonly view: JobsView;
  readonly rows: readonly Row[];
  readonly chosen: ReadonlySet<string>;
  readonly choose: (chosen: ReadonlySet<string>) => void;
  /** The list has changed. */
  readonly onDone: () => void;
}

export function Bulk({ view, rows, chosen, choose, onDone }: BulkProps) {
  const { mayChange } = useServer();
  const [matching, chooseMatching] = useState(false);
  const [asked, ask] = useState<Action | undefined>(undefined);
  const address = fragmentOf({ screen: "jobs", ...view, cursor: undefined });
  useEffect(() => chooseMatching(false), [address, chosen.size === 0]);
  const picked = rows.filter(({ job }) => chosen.has(job.jobId)).map(({ job }) => job);
  const can = (action: Action): boolean => matching || picked.some((job) => canDo(action, job));
  const any = matching || chosen.size > 0;
  const allOnPage = rows.length > 0 && picked.length >= rows.filter(({ gone }) => !gone).length;
  return (
    <div class={`bulk${any ? " any" : ""}`}>
      <p role="status">{!mayChange ? sessionWords.readOnly : matching ? <b>{bulk.chosenAll}</b> : any ? <b>{bulk.chosen(chosen.size)}</b> : bulk.nothing}</p>
      {mayChange && !matching && (chosen.size === 0 || (allOnPage && !view.stalled)) && rows.length > 0 && (
        <Button kind="quiet" onClick={() => (view.stalled ? choose(new Set(rows.filter(({ gone }) => !gone).map(({ job }) => job.jobId))) : chooseMatching(true))}>
          {bulk.chooseMatching}
        </Button>
      )}
      {any && (
        <Button kind="quiet" onClick={() => (chooseMatching(false), choose(new Set()))}>
          {bulk.drop}
        </Button>
      )}
      <span class="gap" />
      {ACTIONS.map((action) => (
        <Button key={action} kind={action === "cancel" || action === "delete" ? "bad" : undefined} disabled={!mayChange || !any || !can(action)} onClick={() => ask(action)}>
          {actions[action].text}
        </Button>
      ))}
      {asked && (
        <BulkDialog
          action={asked}
          filters={matching ? view : undefined}
          ids={picked.map(({ jobId }) => jobId)}
          onClose={(outcome) => {
            ask(undefined);
            if (!outcome) return;
            chooseMatching(false);
            if (matching) onDone();
            choose(new Set(outcome.failed.map(({ jobId }) => jobId)));
          }}
        />
      )}
    </div>
  );
}

interface BulkDialogProps {
  readonly action: Action;
  /** What the jobs are found by; undefined to act on `ids`. */
  readonly filters: JobsView | undefined;
  readonly ids: readonly string[];
  /** With what was done, if anything was tried. */
  readonly onClose: (outcome: Outcome | undefined) => void;
}

function BulkDialog({ action, filters, ids, onClose }: BulkDialogProps) {
  const server = useServer();
  const [filter] = useState(() => filters && filterOf(filters, server.now()));
  const [found, find] = useState<BulkAnswer | undefined>(filters ? undefined : { matches: ids.length, asOf: 0 });
  const [before, changed] = useState<number | undefined>(undefined);
  const [error, fail] = useState<ShelfwireError | undefined>(undefined);
  const [typed, type] = useState("");
  const [outcome, set] = useState<Outcome | undefined>(undefined);
  const [phase, enter] = useState<"asking" | "working" | "over">("asking");
  const matches = found?.matches;
  const recount = (): void => {
    fail(undefined);
    count(server, action, filter!).then(find, (thrown: unknown) => fail(asShelfwireError(thrown)));
  };
  useEffect(() => {
    if (filter) recount();
  }, []);
  const act = async (): Promise<void> => {
    enter("working");
    set({ done: 0, failed: [] });
    try {
      set(await (filter ? actOnMatching(server, action, filter, found!, set) : actOn(server, action, ids, set)));
      enter("over");
    } catch (thrown) {
      const now = changedTo(thrown);
      enter("asking");
      set(undefined);
      if (now === undefined) return fail(asShelfwireError(thrown));
      changed(matches);
      type("");
      find(undefined);
      recount();
    }
  };
  const mustType = matches !== undefined && matches > TYPED_ABOVE;
  const typedRight = !mustType || typed.replace(/[^\d]/g, "") === String(matches);
  const leave = (): void => {
    if (phase !== "working") onClose(outcome);
  };
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    if (typedRight && matches) void act();
  };
  if (phase !== "asking" && outcome) return <Working action={action} outcome={outcome} of={matches ?? 0} over={phase === "over"} onClose={leave} />;
  return (
    <Dialog title={matches === undefined ? bulk.counting : bulk.title(action, matches)} onClose={leave}>
      <form class="ask" onSubmit={onSubmit}>
        {error && <Failed error={error} again={filter && recount} />}
        {before !== undefined && matches !== undefined && (
          <Alert kind="warn">
            <p>{bulk.changed(counted(before), counted(matches))}</p>
          </Alert>
        )}
        {matches === 0 ? <p>{bulk.none(action)}</p> : <p>{bulk.explain[action]}</p>}
        {filters && (
          <p class="fine">
            <bdi>{bulk.matching(isNarrowed(filters) ? inWords(filters) : bulk.everything)}</bdi>
          </p>
        )}
        {mustType && <Field label={bulk.type(String(matches))} value={typed} onInput={type} focus />}
        <div class="buttons">
          <Button onClick={leave}>{bulk.keep}</Button>
          <Button kind={action === "cancel" || action === "delete" ? "bad" : "main"} submit disabled={!matches || !typedRight || error !== undefined}>
            {matches ? `${actions[action].text} ${counted(matches)}` : actions[action].text}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

interface WorkingProps {
  readonly action: Action;
  readonly outcome: Outcome;
  readonly of: number;
  readonly over: boolean;
  readonly onClose: () => void;
}

function Working({ action, outcome: { done, failed, stopped }, of, over, onClose }: WorkingProps) {
  const tried = done + failed.length;
  const share = over ? 1 : of ? Math.min(1, tried / of) : 0;
  return (
    <Dialog title={over ? bulk.outcome(action, done, failed.length) : bulk.working(action)} onClose={onClose}>
      <div class="ask">
        <Bar label={bulk.working(action)} share={share} text={bulk.progress(number(tried), counted(of))} tone={failed.length ? "bad" : undefined} />
        <p class="fine" role="status">
          {bulk.progress(number(tried), counted(of))}
        </p>
        {stopped && (
          <Alert>
            <p>
              {bulk.stopped} <code>{stopped.code}</code> {stopped.message}
            </p>
          </Alert>
        )}
        {failed.length > 0 && (
          <ul class="refused" aria-label={bulk.refused}>
            {failed.slice(0, MOST_SHOWN).map(({ jobId, code }) => (
              <li key={jobId}>
                <a href={fragmentOf({ screen: "job", id: jobId })} target="_blank" rel="noreferrer">
                  {shortId(jobId)}
                </a>{" "}
                <code>{code}</code>
              </li>
            ))}
            {failed.length > MOST_SHOWN && <li>… {number(failed.length - MOST_SHOWN)}</li>}
          </ul>
        )}
        <div class="buttons">
          <Button kind="main" disabled={!over} onClick={onClose}>
            {bulk.close}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

/** The filters as a person reads them. */
const inWords = ({ status, pipeline, tag, code, search, within }: Filters): string =>
  [status.map((one) => statuses[one]).join(" or "), pipeline, tag && list.tag(tag), code, search && `“${search}”`, within && list.withins[within]].filter(Boolean).join(" · ");
