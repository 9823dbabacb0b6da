// Rows that failed, what their reader puts right in them, and what became of that.
import type { ItemError, JobHandle, MendedItem, ResultItem } from "@shelfwire/client";
import { useEffect, useMemo, useReducer } from "preact/hooks";
import { findJob, fresh, keepJob, type KeptJob, tokens } from "./kept.js";
import type { Rows } from "./rows.js";
import { client, creator } from "./server.js";

export type Cells = Readonly<Record<string, string>>;

/** Mending of one job. */
export class Mending {
  /** What was typed, by item and column or field of a book. */
  readonly edits = new Map<number, Cells>();
  /** How the newest attempt with an item ended, by its place in the job's input. */
  readonly outcomes = new Map<number, ResultItem>();
  /** How many rows are being tried again. */
  trying = 0;
  /** How the last attempt ended. */
  last: { readonly good: number; readonly bad: number } | undefined;
  error: unknown;

  readonly #job: KeptJob;
  readonly #good: Rows;
  readonly #changed: () => void;

  constructor(job: KeptJob, good: Rows, changed: () => void) {
    this.#job = job;
    this.#good = good;
    this.#changed = changed;
  }

  /** How many failed rows were done by now. */
  get done(): number {
    return [...this.outcomes.values()].filter(({ ok }) => ok).length;
  }

  /** Why an item has failed, by its newest attempt; undefined once it was done. */
  errorOf(item: ResultItem): ItemError | undefined {
    return (this.outcomes.get(item.index) ?? item).error;
  }

  /** Change a cell; one that is as it was is no change. */
  edit(index: number, name: string, value: string, before: string): void {
    const { [name]: _, ...others } = this.edits.get(index) ?? {};
    const cells = value === before ? others : { ...others, [name]: value };
    if (Object.keys(cells).length) this.edits.set(index, cells);
    else this.edits.delete(index);
    this.last = undefined;
    this.#changed();
  }

  /** Fetch what earlier visits have mended. */
  async load(): Promise<void> {
    for (const retry of findJob(this.#job.jobId)?.retries ?? []) await this.#take(retry).catch((error: unknown) => (this.error = error));
    this.#changed();
  }

  /** Try the mended rows again, in a job of their own; with `all`, every other failed one as well, as it is. */
  async retry(failed: readonly ResultItem[], all = false): Promise<void> {
    const items = failed.flatMap((item): MendedItem[] => {
      const { index, error } = item;
      const edits = this.edits.get(index);
      if (!edits) return [];
      return [error?.cells ? { index, cells: edits } : { index, book: bookOf({ ...given(item), ...edits }) }];
    });
    this.trying = all ? failed.length : items.length;
    this.error = undefined;
    this.#changed();
    try {
      const retry = await creator().retry(fresh(this.#job), all ? (items.length ? { items } : {}) : { items, only: "given" });
      const kept = findJob(this.#job.jobId) ?? this.#job;
      keepJob({ ...kept, retries: [...(kept.retries ?? []), retry] });
      this.last = await this.#take(retry);
      for (const { index } of items) if (this.outcomes.get(index)?.ok) this.edits.delete(index);
    } catch (error) {
      this.error = error;
    }
    this.trying = 0;
    this.#changed();
  }

  async #take(retry: JobHandle): Promise<{ good: number; bad: number }> {
    const following = client.follow(retry, { store: tokens });
    await following.run();
    const counts = { good: 0, bad: 0 };
    const done: ResultItem[] = [];
    for await (const item of client.results(following.job)) {
      const index = item.sourceIndex ?? item.index;
      const known = { ...item, index };
      this.outcomes.set(index, known);
      counts[item.ok ? "good" : "bad"] += 1;
      if (item.ok) done.push(known);
    }
    this.#good.add(done);
    return counts;
  }
}

/** What was looked up for an item that has no cells, or else all that is known of it. */
export const given = ({ error, title }: ResultItem): Cells => (error?.asked ?? { title: title ?? "" }) as unknown as Cells;

/** A book in place of an item; what is empty is not said. */
const bookOf = (cells: Cells): Cells => Object.fromEntries(Object.entries(cells).filter(([, cell]) => cell.trim()));

/** The mending of a job, kept while the page shows the job. */
export function useMending(job: KeptJob, good: Rows, ended: boolean): Mending {
  const [, render] = useReducer((times: number) => times + 1, 0);
  const mending = useMemo(() => new Mending(job, good, () => render(undefined)), [job, good]);
  useEffect(() => {
    if (ended) void mending.load();
  }, [mending, ended]);
  return mending;
}
