import type { ImportPlan, ItemError, ResultItem } from "@shelfwire/client";
import { useState } from "preact/hooks";
import { Alert, Button, Empty, Field, Icon, number } from "../parts/index.js";
import { both, reader } from "../strings/en.js";
import { Download } from "./download.js";
import type { KeptJob } from "./kept.js";
import { type Cells, type Mending, given } from "./mending.js";
import { type Rows, rowOf } from "./rows.js";
import { explained } from "./server.js";

const text = reader.mend;
/** Rows of a group that are shown at first, and more at each request. */
const STEP = 40;
const MOST_FIELDS = 4;
/** What a mended row is most often mended in: fields of an import's plan, and columns by name where there is no plan. */
const FIELDS = ["title", "author", "authors", "isbn13", "isbn10", "isbn"];
const NAMES = [/^title/i, /^(primary )?authors?/i, /^isbn/i];

export interface MendProps {
  readonly job: KeptJob;
  readonly rows: Rows;
  /** Whether the job has ended without any failed row, and if so whether it is complete. */
  readonly nothing: "complete" | "stopped" | undefined;
  readonly mending: Mending;
  readonly plan: ImportPlan | undefined;
  readonly ended: boolean;
  /** Whether the page may start jobs. */
  readonly allowed: boolean;
}

/** The rows that were not imported, by reason, to be put right in place. */
export function Mend({ job, rows, nothing, mending, plan, ended, allowed }: MendProps) {
  const failed = rows.items.filter((item) => mending.errorOf(item));
  if (rows.error !== undefined) {
    return (
      <Alert>
        <p>
          {reader.books.failed} {explained(rows.error)}
        </p>
        <Button icon="retry" onClick={() => rows.more(ended)}>
          {reader.books.retry}
        </Button>
      </Alert>
    );
  }
  const none = nothing !== undefined || (rows.done && failed.length === 0);
  return (
    <section class="failed" aria-label={text.label}>
      {none ? <Empty good>{nothing === "stopped" ? text.noneStopped : text.none}</Empty> : failed.length === 0 && <Empty>{ended ? text.loading : text.noneYet}</Empty>}
      {grouped(failed, mending).map(([code, items]) => (
        <Group
          key={code}
          code={code}
          items={items}
          mending={mending}
          plan={plan}
          editable={ended && allowed && code !== "E_DUPLICATE"}
          onAll={ended && allowed && mending.errorOf(items[0]!)!.retryable ? () => mending.retry(failed, true) : undefined}
        />
      ))}
      <Again job={job} mending={mending} failed={failed} />
    </section>
  );
}

/** Failed items by the code of their reason: what can be mended first, and of that the most frequent. */
function grouped(items: readonly ResultItem[], mending: Mending): ReadonlyArray<readonly [string, readonly ResultItem[]]> {
  const groups = new Map<string, ResultItem[]>();
  for (const item of items) {
    const { code } = mending.errorOf(item)!;
    const group = groups.get(code);
    if (group) group.push(item);
    else groups.set(code, [item]);
  }
  const rank = ([code, { length }]: readonly [string, readonly ResultItem[]]): number => (code === "E_DUPLICATE" ? 1 : -length);
  return [...groups].sort((a, b) => rank(a) - rank(b));
}

interface GroupProps {
  /** Tries all failed rows again as they are; undefined where that would change nothing. */
  readonly onAll: (() => unknown) | undefined;
  readonly code: string;
  readonly items: readonly ResultItem[];
  readonly mending: Mending;
  readonly plan: ImportPlan | undefined;
  readonly editable: boolean;
}

function Group({ code, items, mending, plan, editable, onAll }: GroupProps) {
  const [shown, show] = useState(STEP);
  const [heading, advice] = text.reasons[code] ?? [mending.errorOf(items[0]!)!.userMessage, text.otherReason];
  const rest = items.length - shown;
  return (
    <details class="group" open>
      <summary>
        <span class="amount">{number(items.length)}</span>
        <span class="reason">
          <h2>{heading}</h2>
          <small>{advice}</small>
        </span>
        <Icon name="chevron" />
      </summary>
      <ul>
        {items.slice(0, shown).map((item) => (
          <FailedRow key={item.index} item={item} error={mending.errorOf(item)!} mending={mending} plan={plan} editable={editable} />
        ))}
      </ul>
      {(rest > 0 || onAll) && (
        <p class="more choose">
          {rest > 0 && <Button onClick={() => show(shown + STEP)}>{text.more(Math.min(rest, STEP))}</Button>}
          {onAll && (
            <Button icon="retry" disabled={mending.trying > 0} onClick={onAll}>
              {text.all}
            </Button>
          )}
        </p>
      )}
    </details>
  );
}

interface FailedRowProps {
  readonly item: ResultItem;
  readonly error: ItemError;
  readonly mending: Mending;
  readonly plan: ImportPlan | undefined;
  readonly editable: boolean;
}

function FailedRow({ item, error, mending, plan, editable }: FailedRowProps) {
  const why = `why-${item.index}`;
  const cells = item.error?.cells as Cells | undefined;
  const names = cells ? fieldsOf(cells, error.field, plan) : ["title", "author", "isbn"];
  const edits = mending.edits.get(item.index) ?? {};
  const before = (name: string): string => (cells ?? given(item))[name] ?? "";
  const empty = cells && error.code === "E_ROW_INVALID" && names.every((name) => !cells[name] || /author/i.test(name));
  const reason = error.earlierRow !== undefined ? text.repeats(error.earlierRow) : empty ? text.empty : error.userMessage;
  const rest = Object.entries(cells ?? {}).filter(([name, cell]) => cell && !names.includes(name));
  return (
    <li>
      <div class="why">
        <b>{text.row(rowOf(item))}</b>
        <span id={why}>
          <bdi>{reason}</bdi>
        </span>
      </div>
      {editable ? (
        <div class="cells">
          {names.map((name, place) => (
            <Field
              key={name}
              label={cells ? name : text.fields[name as keyof typeof text.fields]}
              value={edits[name] ?? before(name)}
              changed={edits[name] !== undefined}
              placeholder={place === 0 && error.code === "E_ROW_INVALID" ? text.needed : undefined}
              describedBy={why}
              onInput={(value) => mending.edit(item.index, name, value, before(name))}
            />
          ))}
        </div>
      ) : (
        item.title && (
          <cite>
            <bdi>{item.title}</bdi>
          </cite>
        )
      )}
      {rest.length > 0 && (
        <p class="fine rest">
          {rest.map(([name, cell], place) => (
            <span key={name} title={name}>
              {place > 0 && " · "}
              <bdi>{cell}</bdi>
            </span>
          ))}
        </p>
      )}
    </li>
  );
}

/** The columns to show as fields: the one that is wrong, and those that say which book it is. */
function fieldsOf(cells: Readonly<Record<string, string>>, wrong: string | undefined, plan: ImportPlan | undefined): readonly string[] {
  const columns = Object.keys(cells);
  const planned = FIELDS.flatMap((field) => plan?.columns.filter(({ holds }) => holds === field).map(({ column }) => column) ?? []);
  const named = NAMES.flatMap((pattern) => columns.find((column) => pattern.test(column)) ?? []);
  const chosen = [...new Set([...(planned.length ? planned : named), ...(wrong === undefined ? [] : [wrong])])].filter((column) => column in cells);
  return (chosen.length ? chosen : columns).slice(0, MOST_FIELDS);
}

/** The bar that stays in sight: how many rows are mended, and how the last attempt went. */
function Again({ job, mending, failed }: { job: KeptJob; mending: Mending; failed: readonly ResultItem[] }) {
  const { trying, last, error } = mending;
  const edited = failed.filter(({ index }) => mending.edits.has(index)).length;
  if (!edited && !trying && !last && error === undefined) return null;
  return (
    <div class="again">
      <p role="status">
        {trying > 0 ? (
          text.trying(trying)
        ) : last ? (
          <>
            {last.good > 0 && (
              <span class="good">
                <Icon name="check" /> {text.succeeded(last.good, both.kinds[job.kind] ?? both.otherKind)}{" "}
              </span>
            )}
            {last.bad > 0 && text.stillNot(last.bad)}
          </>
        ) : error !== undefined ? (
          <span class="bad">{explained(error)}</span>
        ) : (
          text.mended(edited)
        )}
      </p>
      {edited > 0 && !last && (
        <Button kind="main" icon="retry" disabled={trying > 0} onClick={() => mending.retry(failed)}>
          {text.again}
        </Button>
      )}
      {last && last.good > 0 && <Download job={job} />}
    </div>
  );
}
