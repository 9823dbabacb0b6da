// Where the lines of a chart go.

export type Point = readonly [at: number, value: number | null];

/** Seconds that are round in minutes, hours and days, and so are their halves. */
const ROUND = [120, 240, 600, 1_200, 3_600, 7_200, 14_400, 43_200, 86_400, 172_800, 345_600, 864_000];
const MINUTE = 60;

/** A round number of seconds that is not below `top`, as little above as can be: up to a minute 1, 2, 5 times a power of ten. */
export function niceTop(top: number): number {
  if (!(top > 0)) return 1;
  if (top > MINUTE) return ROUND.find((one) => one >= top) ?? top;
  const unit = 10 ** Math.floor(Math.log10(top));
  return [1, 2, 5, 10].map((factor) => factor * unit).find((one) => one >= top * (1 - 1e-9)) ?? 10 * unit; // 0.1 + 0.2 is a little more than 0.3
}

type Scale = (value: number) => number;

/** An SVG path along the values, with a gap where there is none. */
export function pathOf(points: readonly Point[], x: Scale, y: Scale): string {
  let path = "";
  let pen = false;
  for (const [at, value] of points) {
    if (value !== null) path += `${pen ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
    pen = value !== null;
  }
  return path;
}

/** An SVG path of a dot for each value between two gaps, which a line would not show. */
export const dotsOf = (points: readonly Point[], x: Scale, y: Scale): string =>
  points
    .map(([at, value], n) => (value !== null && points[n - 1]?.[1] == null && points[n + 1]?.[1] == null ? `M${x(at).toFixed(1)} ${y(value).toFixed(1)}h0` : ""))
    .join("");

/** The place in a list of the number that is nearest to another; undefined if the list is empty. */
export function nearest(numbers: readonly number[], wanted: number): number | undefined {
  let best: number | undefined;
  numbers.forEach((one, n) => {
    if (best === undefined || Math.abs(one - wanted) < Math.abs(numbers[best]! - wanted)) best = n;
  });
  return best;
}

/** The last value of a series; null if it has none. */
export function lastOf(points: readonly Point[]): number | null {
  for (let n = points.length - 1; n >= 0; n -= 1) if (points[n]![1] !== null) return points[n]![1];
  return null;
}

/** About `most` of the points, evenly, the last among them. */
export function thinned<T>(points: readonly T[], most: number): readonly T[] {
  const step = Math.max(1, Math.ceil(points.length / most));
  return points.filter((_, n) => (points.length - 1 - n) % step === 0);
}
