// The items of a job: fetched in pages as they are recorded, searched and sorted here.
import type { Client, ImportedBook, JobHandle, ResultItem, ResultPage } from "@shelfwire/client";
import { fresh } from "./kept.js";

export type Key = "row" | "title" | "author" | "isbn" | "year";

/** Text without accents and case, for comparing; most text has no accents, and is ten times as fast. */
export const fold = (text: string): string => (/^[ -~]*$/.test(text) ? text : text.normalize("NFD").replace(/\p{M}/gu, "")).toLowerCase();

/** The result of an item, as a book; lookups and imports have the members of a table in common. */
export const bookOf = (item: ResultItem): Partial<ImportedBook> & { publishedDate?: string } => (item.result ?? {}) as Partial<ImportedBook>;

export const yearOf = (item: ResultItem): number | undefined => {
  const { year, publishedDate } = bookOf(item);
  return year ?? (publishedDate === undefined ? undefined : Number.parseInt(publishedDate, 10));
};

export const rowOf = (item: ResultItem): number => bookOf(item).row ?? item.error?.row ?? item.index + 1;

/** What comes after every text, so that rows without one stand last. */
const LAST = "\uffff";
const KEYS: Readonly<Record<Key, (item: ResultItem) => string | number>> = {
  row: rowOf,
  title: (item) => fold(bookOf(item).title ?? item.title ?? LAST),
  author: (item) => fold(/\S*$/.exec(bookOf(item).authors?.[0] ?? LAST)![0]),
  isbn: (item) => bookOf(item).isbn13 ?? LAST,
  year: (item) => yearOf(item) ?? Number.MAX_SAFE_INTEGER,
};

/** The items of one status. */
export class Rows {
  /** In the order in which they came. */
  readonly items: ResultItem[] = [];
  /** Whether all have come. */
  done = false;
  error: unknown;

  readonly #client: Client;
  readonly #job: JobHandle;
  readonly #status: "ok" | "failed";
  readonly #listeners = new Set<() => void>();
  readonly #over = new AbortController();
  readonly #texts: string[] = [];
  readonly #keys = new Map<Key, Array<string | number>>();
  #cursor: string | null = null;
  #busy = false;
  #again: { ended: boolean } | undefined;

  constructor(client: Client, job: JobHandle, status: "ok" | "failed") {
    this.#client = client;
    this.#job = job;
    this.#status = status;
  }

  /** Calls `listener` when rows have come or the last fetch has failed, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#over.abort();
  }

  /** Fetch what is recorded by now, or all that there is of a job that has ended. */
  async more(ended: boolean): Promise<void> {
    if (this.done || this.#over.signal.aborted) return;
    if (this.#busy) {
      this.#again = { ended: ended || !!this.#again?.ended };
      return;
    }
    this.#busy = true;
    this.error = undefined;
    try {
      await this.#fetch(ended);
    } catch (error) {
      if (!this.#over.signal.aborted) this.error = error;
    }
    this.#busy = false;
    const again = this.#again;
    this.#again = undefined;
    if (again && this.error === undefined) return this.more(again.ended);
    this.#tell();
  }

  /** Put rows that another job has done beside these. */
  add(items: readonly ResultItem[]): void {
    for (const item of items) {
      const book = bookOf(item);
      const texts = [item.title, book.title, book.authors?.join(" "), book.isbn13, book.isbn10, book.isbnAsGiven];
      this.items.push(item);
      this.#texts.push(fold(texts.filter(Boolean).join("\u0001")));
    }
    this.#tell();
  }

  async #fetch(ended: boolean): Promise<void> {
    for (;;) {
      const page: ResultPage = await this.#client.page(fresh(this.#job), { cursor: this.#cursor, status: this.#status, signal: this.#over.signal });
      this.done = page.next === null;
      this.add(page.items);
      const stands = page.items.length === 0 && (!ended || page.next === this.#cursor);
      this.#cursor = page.next;
      if (this.done || stands) return;
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** Whether an item has all words, in any order. */
  has(at: number, words: readonly string[]): boolean {
    return words.every((word) => this.#texts[at]!.includes(word));
  }

  /** What the first items are sorted by, `end` at least. */
  keys(key: Key, end: number): ReadonlyArray<string | number> {
    let keys = this.#keys.get(key);
    if (!keys) this.#keys.set(key, (keys = []));
    for (let at = keys.length; at < end; at += 1) keys.push(KEYS[key](this.items[at]!));
    return keys;
  }
}

/** Rows that are searched, sorted or merged in one go, which takes a few milliseconds. */
const STEP = 4_096;
/** For how long this works at a stretch, in milliseconds: the page answers its reader in between. */
const STRETCH_MS = 30;

/** The places of the rows that a search finds, in an order; rows that come later are merged in. */
export class View {
  places: readonly number[] = [];
  readonly #rows: Rows;
  readonly #words: readonly string[];
  readonly #key: Key;
  readonly #sign: 1 | -1;
  readonly #onDone: () => void;
  #keys: ReadonlyArray<string | number> = [];
  #seen = 0;
  #steps: Iterator<unknown> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `onDone` is called when `update` has gone on by itself and all is in its place. */
  constructor(rows: Rows, query: string, key: Key, down: boolean, onDone: () => void) {
    this.#rows = rows;
    this.#words = fold(query).split(/\s+/).filter(Boolean);
    this.#key = key;
    this.#sign = down ? -1 : 1;
    this.#onDone = onDone;
  }

  /** Puts the rows that have come in their places; goes on by itself if they are many. Returns whether all are there. */
  update(): boolean {
    this.#steps ??= this.steps();
    const end = performance.now() + STRETCH_MS;
    do if (this.#steps.next().done) return (this.#steps = undefined), true;
    while (performance.now() < end);
    this.stop();
    this.#timer = setTimeout(() => this.update() && this.#onDone());
    return false;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** The same in steps, each of some thousand rows. */
  *steps(): Generator<undefined, void> {
    const { length } = this.#rows.items;
    let runs: Array<readonly number[]> = [];
    while (this.#seen < length) {
      const run: number[] = [];
      const end = Math.min(length, this.#seen + STEP);
      for (; this.#seen < end; this.#seen += 1) if (this.#rows.has(this.#seen, this.#words)) run.push(this.#seen);
      this.#keys = this.#rows.keys(this.#key, end);
      runs.push(run.sort((a, b) => this.#compare(a, b)));
      yield;
    }
    if (runs.length === 0) return;
    runs.push(this.places);
    while (runs.length > 1) {
      const merged: Array<readonly number[]> = [];
      for (let at = 0; at < runs.length; at += 2) merged.push(yield* this.#merged(runs[at]!, runs[at + 1] ?? []));
      runs = merged;
    }
    this.places = runs[0]!;
  }

  *#merged(left: readonly number[], right: readonly number[]): Generator<undefined, readonly number[]> {
    if (!left.length || !right.length || this.#compare(left.at(-1)!, right[0]!) < 0) return left.concat(right);
    const all: number[] = [];
    for (let l = 0, r = 0; l < left.length || r < right.length; ) {
      all.push(r === right.length || (l < left.length && this.#compare(left[l]!, right[r]!) < 0) ? left[l++]! : right[r++]!);
      if (all.length % STEP === 0) yield;
    }
    return all;
  }

  #compare(a: number, b: number): number {
    const [one, other] = [this.#keys[a]!, this.#keys[b]!];
    return one < other ? -this.#sign : one > other ? this.#sign : a - b;
  }
}
