// What the reader corrects in what was read on photos; the server keeps it beside the job.
import type { Correction, ScannedBook } from "@shelfwire/client";
import { useEffect, useMemo, useReducer } from "preact/hooks";
import { fresh, type KeptJob } from "./kept.js";
import { client } from "./server.js";

export class Corrections {
  error: unknown;
  #all: readonly Correction[] = [];
  readonly #job: KeptJob;
  readonly #changed: () => void;

  constructor(job: KeptJob, changed: () => void) {
    this.#job = job;
    this.#changed = changed;
  }

  async load(signal: AbortSignal): Promise<void> {
    this.#all = await client.corrections(fresh(this.#job), signal);
    this.#changed();
  }

  of(index: number, book: number): Correction | undefined {
    return this.#all.find((one) => one.index === index && one.book === book);
  }

  /** Replace what is corrected in a book, at once on the page and then on the server; undefined takes it back. */
  async put(index: number, book: number, correction: Omit<Correction, "index" | "book"> | undefined): Promise<void> {
    const before = this.#all;
    const others = before.filter((one) => one.index !== index || one.book !== book);
    this.#all = correction ? [...others, { index, book, ...correction }] : others;
    this.error = undefined;
    this.#changed();
    try {
      const own = this.#all.filter((one) => one.index === index).map(({ index: _, ...one }) => one);
      this.#all = await client.correct(fresh(this.#job), index, own);
    } catch (error) {
      this.#all = before;
      this.error = error;
    }
    this.#changed();
  }
}

/** A book as it stands with what its reader says of it. */
export function corrected(book: ScannedBook, correction: Correction | undefined): { title: string; authors: readonly string[] } {
  return { title: correction?.title ?? book.title, authors: correction?.authors ?? book.authors };
}

export function useCorrections(job: KeptJob, ready: boolean): Corrections {
  const [, render] = useReducer((times: number) => times + 1, 0);
  const corrections = useMemo(() => new Corrections(job, () => render(undefined)), [job]);
  useEffect(() => {
    if (!ready) return;
    const over = new AbortController();
    // Without them everything is shown as it was read.
    corrections.load(over.signal).catch(() => {});
    return () => over.abort();
  }, [corrections, ready]);
  return corrections;
}
