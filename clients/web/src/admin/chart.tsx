// Lines over time as SVG, which follow the theme; the same as a table beside them.
import { useState } from "preact/hooks";
import { charts } from "../strings/admin.en.js";
import { span } from "./format.js";
import { type Point, dotsOf, lastOf, nearest, niceTop, pathOf, thinned } from "./scale.js";

const WIDTH = 320;
const HEIGHT = 128;
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 8, 10, 20];
const MOST_ROWS = 12;

export interface Line {
  readonly name: string;
  /** Seconds over milliseconds since the epoch. */
  readonly points: readonly Point[];
}

export interface ChartProps {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Where the left end is, in milliseconds since the epoch, and its label. */
  readonly from: number;
  readonly begin: string;
  readonly when: (at: number) => string;
}

/** Durations over time. */
export function Chart({ title, lines, from, begin, when }: ChartProps) {
  const [at, look] = useState<number | undefined>(undefined);
  const times = lines[0]?.points.map(([time]) => time) ?? [];
  const values = lines.flatMap(({ points }) => points.flatMap(([, value]) => (value === null ? [] : [value])));
  const to = Math.max(from + 1, times.at(-1) ?? 0);
  const top = niceTop(Math.max(0, ...values));
  const x = (time: number): number => LEFT + ((Math.max(time, from) - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM);
  const shown = (line: Line): number | null => (at === undefined ? lastOf(line.points) : (line.points[at]?.[1] ?? null));
  const text = (value: number | null): string => (value === null ? "–" : span(value));
  const onPointerMove = (event: PointerEvent & { currentTarget: SVGSVGElement }): void => {
    const box = event.currentTarget.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * WIDTH;
    look(nearest(times.map(x), place));
  };
  const described = lines.map((line) => `${line.name} ${text(lastOf(line.points))}`).join(", ");
  return (
    <figure class="chart card">
      <figcaption>
        <h3>{title}</h3>
        <span class="legend">
          {lines.map((line, n) => (
            <span key={line.name} class={`k${n}`}>
              {line.name} <b>{text(shown(line))}</b>
            </span>
          ))}
        </span>
      </figcaption>
      {values.length === 0 ? (
        <p class="fine nothing">{charts.none}</p>
      ) : (
        <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={charts.summary(title, described)} onPointerMove={onPointerMove} onPointerLeave={() => look(undefined)}>
          {[0, 0.5, 1].map((part) => (
            <g key={part}>
              <line class="grid" x1={LEFT} x2={WIDTH - RIGHT} y1={y(top * part)} y2={y(top * part)} />
              <text x={LEFT - 6} y={y(top * part)} dy=".32em" text-anchor="end">
                {part === 0 ? "0" : span(top * part)}
              </text>
            </g>
          ))}
          {lines.map((line, n) => (
            <g key={line.name} class={`line k${n}`}>
              <path d={pathOf(line.points, x, y)} />
              <path class="dots" d={dotsOf(line.points, x, y)} />
            </g>
          ))}
          {at !== undefined && times[at] !== undefined && <line class="cross" x1={x(times[at])} x2={x(times[at])} y1={TOP} y2={HEIGHT - BOTTOM} />}
          <text x={LEFT} y={HEIGHT - 5}>
            {at === undefined || times[at] === undefined ? begin : when(times[at])}
          </text>
          <text x={WIDTH - RIGHT} y={HEIGHT - 5} text-anchor="end">
            {charts.now}
          </text>
        </svg>
      )}
      {values.length > 0 && (
        <details class="as-table">
          <summary>{charts.table}</summary>
          <table>
            <caption class="sr">{title}</caption>
            <thead>
              <tr>
                <th scope="col">{charts.time}</th>
                {lines.map(({ name }) => (
                  <th key={name} scope="col" class="num">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {thinned(times.map((time, n) => [time, n] as const), MOST_ROWS).map(([time, n]) => (
                <tr key={time}>
                  <th scope="row">{when(time)}</th>
                  {lines.map((line) => (
                    <td key={line.name} class="num">
                      {text(line.points[n]?.[1] ?? null)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </figure>
  );
}
