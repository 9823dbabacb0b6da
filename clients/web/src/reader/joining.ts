/** The files of a job and of those that tried its mended rows again, as one. */

/** A row of a table, whose cells in quotation marks may have several lines. */
const RECORD = /(?:"[^"]*"|[^"\n])+\n?/g;

/** Joins tables of results that have the same columns: each row in its place, by its number in the list. */
export function joinedTables(tables: readonly string[]): string {
  const header = tables[0]!.slice(0, rowsAt(tables[0]!));
  const rows = tables.flatMap((table) => table.slice(rowsAt(table)).match(RECORD) ?? []).map((row) => row.replace(/^\d+,(\d+),/, "$1,$1,"));
  return header + rows.sort((one, other) => Number.parseInt(one) - Number.parseInt(other)).join("");
}

/** Joins tables without such numbers. */
export const appendedTables = (tables: readonly string[]): string => tables.map((table, at) => (at ? table.slice(rowsAt(table)) : table)).join("");

interface Numbered {
  readonly index: number;
  readonly sourceIndex?: number;
}

/** Joins lists of results, likewise. */
export function joinedLists(lists: readonly string[]): string {
  const items = lists.flatMap((list) => JSON.parse(list) as Numbered[]).map((item) => ({ ...item, index: item.sourceIndex ?? item.index }));
  return JSON.stringify(items.sort((one, other) => one.index - other.index), null, 1);
}

const rowsAt = (table: string): number => table.indexOf("\n") + 1;
