// Numbers, sizes, times and plurals, in the English of the reader's own country where it has one.

export const locale = globalThis.navigator?.languages?.find((language) => /^en\b/.test(language)) ?? "en";

const numbers = new Intl.NumberFormat(locale);
const percents = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 });
const plurals = new Intl.PluralRules(locale);
const dates = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
const unit = (name: string, options: Intl.NumberFormatOptions = {}) =>
  new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: "short", ...options });
const UNITS = { s: unit("second"), min: unit("minute"), h: unit("hour"), d: unit("day") };
const SIZES = ["byte", "kilobyte", "megabyte", "gigabyte"].map((name, step) => unit(name, { maximumFractionDigits: 1, unitDisplay: step ? "short" : "long" }));
const MINUTE = 60;
const HOUR = 3_600;
const DAY = 86_400;

export const number = (value: number): string => numbers.format(value);

/** A share from 0 to 1, rounded down, so that 100% means all. */
export const percent = (share: number): string => percents.format(Math.floor(share * 100) / 100);

/** A number with its noun: `count(2, { one: "row", other: "rows" })`. */
export const count = (value: number, nouns: Nouns): string => `${number(value)} ${noun(value, nouns)}`;

/** The noun alone, in the form that goes with a number. */
export const noun = (value: number, nouns: Nouns): string => (plurals.select(value) === "one" ? nouns.one : nouns.other);

export interface Nouns {
  readonly one: string;
  readonly other: string;
}

export function bytes(value: number): string {
  const step = Math.min(SIZES.length - 1, value < 1 ? 0 : Math.floor(Math.log10(value) / 3));
  return SIZES[step]!.format(value / 1000 ** step);
}

/** A span of time, by its two largest units. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  const parts = [
    [UNITS.d, Math.floor(whole / DAY)],
    [UNITS.h, Math.floor(whole / HOUR) % 24],
    [UNITS.min, Math.floor(whole / MINUTE) % 60],
    [UNITS.s, whole % MINUTE],
  ] as const;
  const first = parts.findIndex(([, amount]) => amount > 0);
  if (first < 0) return UNITS.s.format(0);
  return parts
    .slice(first, first + 2)
    .filter(([, amount]) => amount > 0)
    .map(([format, amount]) => format.format(amount))
    .join(" ");
}

export const dateTime = (milliseconds: number): string => dates.format(milliseconds);

/** How long ago a moment was, such as "2 hours ago"; `now` in milliseconds. */
export function ago(milliseconds: number, now: number): string {
  const seconds = Math.min(0, (milliseconds - now) / 1000);
  if (seconds > -MINUTE) return relative.format(0, "second");
  if (seconds > -HOUR) return relative.format(Math.round(seconds / MINUTE), "minute");
  if (seconds > -DAY) return relative.format(Math.round(seconds / HOUR), "hour");
  return relative.format(Math.round(seconds / DAY), "day");
}
