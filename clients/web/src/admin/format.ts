// Figures as operators read them.
import { duration, locale } from "../parts/format.js";

const shares = new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 2 });
const short = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const clocks = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const days = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const moments = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });

/** A share from 0 to 1, to a hundredth of a percent. */
export const share = (value: number): string => shares.format(value);

/** Three digits are enough. */
export const rough = (value: number): string => short.format(value);

const UNITS = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]] as const;

/** Seconds in one unit, from milliseconds up to days, with three digits. */
export function span(seconds: number): string {
  const [name, size] = UNITS.find(([, unit]) => seconds >= unit) ?? ["ms", 0.001];
  return `${short.format(seconds / size)} ${name}`;
}

/** How long ago a time was. Clocks differ: the future is now. */
export const since = (at: number, now: number): string => duration(Math.max(0, Math.floor((now - at) / 1000)));

export const clock = (at: number): string => clocks.format(at);
export const day = (at: number): string => days.format(at);
export const moment = (at: number): string => moments.format(at);
