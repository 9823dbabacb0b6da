import { useEffect, useMemo, useReducer, useRef, useState } from "preact/hooks";
import { Alert, Button, Empty, Field, Select, type Sort, Table, number, useNarrow } from "../parts/index.js";
import { reader } from "../strings/en.js";
import { Download } from "./download.js";
import type { KeptJob } from "./kept.js";
import { type Key, type Rows, View, bookOf, rowOf, yearOf } from "./rows.js";
import { explained } from "./server.js";

const text = reader.books;
const COLUMNS = (["row", "title", "author", "isbn", "year"] as const).map((key) => ({ key, text: text.columns[key]! }));
const ROW_PX = 48;
const NARROW_ROW_PX = 64;

/** Renders again whenever rows have come. */
export function useRows(rows: Rows): number {
  const [, render] = useReducer((times: number) => times + 1, 0);
  useEffect(() => rows.subscribe(() => render(undefined)), [rows]);
  return rows.items.length;
}

/** The table of what was imported. */
export function Books({ rows, job, ended }: { rows: Rows; job: KeptJob; ended: boolean }) {
  const all = useRows(rows);
  const [query, ask] = useState("");
  const [sort, order] = useState<Sort>({ key: "row" });
  const narrow = useNarrow();
  const [, render] = useReducer((times: number) => times + 1, 0);
  const view = useMemo(() => new View(rows, query, sort.key as Key, !!sort.down, () => render(undefined)), [rows, query, sort]);
  useEffect(() => () => view.stop(), [view]);
  // Until all is in its place, the table stays as it was.
  const shown = useRef(view);
  if (view.update()) shown.current = view;
  const { places } = shown.current;
  const found = query.trim() ? text.found(places.length, all) : text.all(all);
  const item = (at: number) => rows.items[places[at]!]!;
  return (
    <>
      <div class="tools">
        <Field label={text.search} hidden type="search" icon="search" placeholder={text.placeholder} value={query} onInput={ask} />
        <span class="found" role="status">
          {rows.done || (rows.error !== undefined && all > 0) ? found : ended ? text.loading(found) : text.soFar(found)}
        </span>
        {narrow && <Select label={text.sort} hidden value={sort.key} options={COLUMNS.map(({ key }) => [key, text.by[key]!])} onChange={(key) => order({ key })} />}
        {all > 0 && <Download job={job} />}
      </div>
      {rows.error !== undefined && (
        <Alert>
          <p>
            {text.failed} {explained(rows.error)}
          </p>
          <Button icon="retry" onClick={() => rows.more(ended)}>
            {text.retry}
          </Button>
        </Alert>
      )}
      {all === 0 ? (
        rows.error === undefined && <Empty>{rows.done ? text.none : text.noneYet}</Empty>
      ) : places.length === 0 ? (
        <Empty>
          <p>
            <bdi>{text.noMatch(query)}</bdi>
          </p>
          <Button onClick={() => ask("")}>{text.clear}</Button>
        </Empty>
      ) : (
        <Table
          label={text.table}
          columns={COLUMNS}
          count={places.length}
          rowHeight={narrow ? NARROW_ROW_PX : ROW_PX}
          sort={sort}
          onSort={order}
          rowKey={(at) => places[at]!}
          cell={(at, column) => <Cell item={item(at)} column={column as Key} />}
        />
      )}
    </>
  );
}

function Cell({ item, column }: { item: Rows["items"][number]; column: Key }) {
  const book = bookOf(item);
  switch (column) {
    case "row":
      return <>{number(rowOf(item))}</>;
    case "title":
      return (
        <>
          <bdi class="book">{book.title ?? item.title ?? "—"}</bdi>
          {book.warnings?.length ? (
            <span class="warning" title={book.warnings.join(" ")}>
              <bdi>{book.warnings.join(" ")}</bdi>
            </span>
          ) : null}
        </>
      );
    case "author":
      return <bdi>{book.authors?.join(", ") || "—"}</bdi>;
    case "isbn":
      return <bdi>{book.isbn13 ?? book.isbnAsGiven ?? "—"}</bdi>;
    case "year":
      return <>{yearOf(item) ?? "—"}</>;
  }
}
