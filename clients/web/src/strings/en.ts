// Every text of the pages, by place or by error code. A server's own text is shown only for codes that are not here.
import type { Nouns } from "../parts/format.js";

/** What both pages say. */
export const both = {
  row: { one: "row", other: "rows" } satisfies Nouns,
  photo: { one: "photo", other: "photos" } satisfies Nouns,
  book: { one: "book", other: "books" } satisfies Nouns,
  item: { one: "item", other: "items" } satisfies Nouns,
};

/** What the reader's page says. */
export const reader = {};

/** What the operator's page says. */
export const admin = {};
