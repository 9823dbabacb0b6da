// The items of a job: fetched in pages as they are recorded, searched and sorted here.
import type { Client, ImportedBook, JobHandle, ResultItem, ResultPage } from "@shelfwire/client";
import { fresh } from "./server.js";

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

  /** What each item is sorted by. */
  keys(key: Key): ReadonlyArray<string | number> {
    let keys = this.#keys.get(key);
    if (!keys) this.#keys.set(key, (keys = []));
    for (let at = keys.length; at < this.items.length; at += 1) keys.push(KEYS[key](this.items[at]!));
    return keys;
  }
}

/** The places of the rows that a search finds, in an order; rows that come later are merged in. */
export class View {
  readonly places: number[] = [];
  readonly #rows: Rows;
  readonly #words: readonly string[];
  readonly #key: Key;
  readonly #down: boolean;
  #seen = 0;

  constructor(rows: Rows, query: string, key: Key, down: boolean) {
    this.#rows = rows;
    this.#words = fold(query).split(/\s+/).filter(Boolean);
    this.#key = key;
    this.#down = down;
  }

  update(): readonly number[] {
    const { places } = this;
    const before = places.length;
    for (; this.#seen < this.#rows.items.length; this.#seen += 1) if (this.#rows.has(this.#seen, this.#words)) places.push(this.#seen);
    if (places.length === before) return places;
    const keys = this.#rows.keys(this.#key);
    const sign = this.#down ? -1 : 1;
    // A sort of what is sorted with a little more behind it is a merge.
    places.sort((a, b) => (keys[a]! < keys[b]! ? -sign : keys[a]! > keys[b]! ? sign : a - b));
    return places;
  }
}
