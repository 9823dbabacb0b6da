// The files of a job and of its mended rows.
import assert from "node:assert/strict";
import { test } from "node:test";
import { appendedTables, joinedLists, joinedTables } from "../src/reader/joining.js";

test("mended rows stand in their places, with the numbers that they have in the list", () => {
  const whole = '\ufeffindex,sourceIndex,ok,title,review\r\n0,,true,Dune,"two\nlines, and ""5,6,"""\r\n2,,true,Emma,\r\n';
  const mended = "\ufeffindex,sourceIndex,ok,title,review\r\n0,1,true,It,\r\n1,3,true,Stoner,\r\n";
  assert.equal(
    joinedTables([whole, mended]),
    '\ufeffindex,sourceIndex,ok,title,review\r\n0,,true,Dune,"two\nlines, and ""5,6,"""\r\n1,1,true,It,\r\n2,,true,Emma,\r\n3,3,true,Stoner,\r\n',
  );
});

test("tables without numbers have one header", () => {
  assert.equal(appendedTables(["Title\r\nDune\r\n", "Title\r\nEmma\r\n"]), "Title\r\nDune\r\nEmma\r\n");
});

test("items of lists stand in their places too", () => {
  const joined = JSON.parse(joinedLists(['[{"index":0,"ok":true},{"index":2,"ok":true}]', '[{"index":0,"sourceIndex":1,"ok":true}]'])) as unknown;
  assert.deepEqual(joined, [{ index: 0, ok: true }, { index: 1, sourceIndex: 1, ok: true }, { index: 2, ok: true }]);
});
