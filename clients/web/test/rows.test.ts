// The order of a reader's rows.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client, ResultItem } from "@shelfwire/client";
import { Rows, View, fold } from "../src/reader/rows.js";

const item = (index: number, title: string): ResultItem => ({ index, ok: true, title, result: { title } }) as unknown as ResultItem;

function rowsOf(titles: readonly string[]): Rows {
  const rows = new Rows({} as Client, { jobId: "a", token: "b" }, "ok");
  rows.add(titles.map((title, index) => item(index, title)));
  return rows;
}

/** Titles in no order, some of them the same. */
const titles = (amount: number): string[] => Array.from({ length: amount }, (_, n) => `Títle ${(n * 7_919) % 50_021}`);

function plainly(all: readonly string[], down: boolean): number[] {
  const keys = all.map(fold);
  const sign = down ? -1 : 1;
  return keys.map((_, at) => at).sort((a, b) => (keys[a]! < keys[b]! ? -sign : keys[a]! > keys[b]! ? sign : a - b));
}

test("many rows are sorted in steps of which none is long, and as one sort would", () => {
  const all = titles(60_000);
  const rows = rowsOf(all);
  for (const down of [false, true]) {
    const view = new View(rows, "", "title", down, () => {});
    assert.ok([...view.steps()].length > 50);
    assert.deepEqual(view.places, plainly(all, down));
  }
});

test("rows that come later are merged in, and only those that are searched for", () => {
  const all = titles(9_000).map((title, n) => (n % 3 ? title : `${title} found`));
  const rows = rowsOf(all.slice(0, 8_000));
  const view = new View(rows, "FOUND titl", "title", false, () => {});
  for (const _ of view.steps());
  rows.add(all.slice(8_000).map((title, n) => item(8_000 + n, title)));
  for (const _ of view.steps());
  assert.deepEqual(view.places, plainly(all, false).filter((at) => at % 3 === 0));
});

test("what takes longer than a moment goes on by itself and says when it is done", async () => {
  const all = titles(200_000);
  const rows = rowsOf(all);
  const places = await new Promise((resolve) => {
    const view = new View(rows, "", "title", false, () => resolve(view.places));
    if (view.update()) resolve(view.places);
    else assert.deepEqual(view.places, []);
  });
  assert.deepEqual(places, plainly(all, false));
});
