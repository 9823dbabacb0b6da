import type { ComponentChildren, Ref } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { number } from "./format.js";
import { Icon } from "./icon.js";

/** Rows that are made beyond the visible ones on each side, so that scrolling shows no gap. */
const BEYOND = 8;

/** Which of `count` rows of one height are visible in a box that scrolls: `[from, to]`. */
export function useWindow<T extends HTMLElement>(count: number, height: number): [Ref<T>, readonly [number, number]] {
  const box = useRef<T>(null);
  const [span, see] = useState<readonly [number, number]>([0, 30]);
  useEffect(() => {
    const at = box.current;
    if (!at) return;
    let frame = 0;
    const measure = (): void => {
      frame = 0;
      const from = Math.max(0, Math.floor(at.scrollTop / height) - BEYOND);
      const to = Math.ceil((at.scrollTop + at.clientHeight) / height) + BEYOND;
      see((old) => (old[0] === from && old[1] === to ? old : [from, to]));
    };
    const later = (): void => {
      frame ||= requestAnimationFrame(measure);
    };
    const sizes = new ResizeObserver(later);
    at.addEventListener("scroll", later, { passive: true });
    sizes.observe(at);
    measure();
    return () => {
      at.removeEventListener("scroll", later);
      sizes.disconnect();
      cancelAnimationFrame(frame);
    };
  }, [height, count === 0]);
  return [box, [Math.min(span[0], count), Math.min(span[1], count)]];
}

/** Whether the window is as narrow as a phone's; the same width as in pages.css. */
export function useNarrow(): boolean {
  const [query] = useState(() => matchMedia("(max-width: 640px)"));
  const [narrow, set] = useState(query.matches);
  useEffect(() => {
    const changed = (): void => set(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, [query]);
  return narrow;
}

export interface Sort {
  readonly key: string;
  readonly down?: boolean | undefined;
}

export interface Column {
  readonly key: string;
  readonly text: string;
  readonly unsortable?: boolean | undefined;
}

export interface TableProps {
  readonly label: string;
  readonly columns: readonly Column[];
  readonly count: number;
  /** Pixels; every row has the same. */
  readonly rowHeight: number;
  readonly sort: Sort;
  readonly onSort: (sort: Sort) => void;
  /** Identifies a row, so that it is not made anew when it moves. */
  readonly rowKey: (at: number) => string | number;
  readonly cell: (at: number, column: string) => ComponentChildren;
}

/** A table of any length, of which only the visible rows are in the page. Columns are classes: `.col-title`. */
export function Table({ label, columns, count, rowHeight, sort, onSort, rowKey, cell }: TableProps) {
  const [box, [from, to]] = useWindow<HTMLDivElement>(count, rowHeight);
  const ordered = (key: string) => (sort.key !== key ? "none" : sort.down ? "descending" : "ascending");
  return (
    <div class="table" role="table" aria-label={label} aria-rowcount={count + 1} aria-colcount={columns.length}>
      <div role="rowgroup">
        <div class="row header" role="row" aria-rowindex={1}>
          {columns.map(({ key, text, unsortable }) => (
            <span key={key} role="columnheader" class={`col-${key}`} aria-sort={unsortable ? undefined : ordered(key)}>
              {unsortable ? (
                text
              ) : (
                <button type="button" onClick={() => onSort({ key, down: sort.key === key && !sort.down })}>
                  {text}
                  <Icon name="chevron" size={14} />
                </button>
              )}
            </span>
          ))}
        </div>
      </div>
      <div class="scroll" role="rowgroup" tabIndex={0} ref={box} aria-label={`${label}, ${number(count)}`}>
        <div role="presentation" class="all" style={{ height: `${count * rowHeight}px` }}>
          {Array.from({ length: to - from }, (_, n) => from + n).map((at) => (
            <div class="row" role="row" key={rowKey(at)} aria-rowindex={at + 2} style={{ transform: `translateY(${at * rowHeight}px)` }}>
              {columns.map(({ key }) => (
                <span key={key} role="cell" class={`col-${key}`}>
                  {cell(at, key)}
                </span>
              ))}
            </div>
          ))}
        </div>
      </div>
    </div>
  );
}
