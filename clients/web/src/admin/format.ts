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

/** Seconds, from milliseconds up to days. */
export function span(seconds: number): string {
  if (seconds < 0.9995) return `${short.format(seconds * 1000)} ms`;
  return seconds < 60 ? `${short.format(seconds)} s` : duration(seconds);
}

/** How long ago a time was. Clocks differ: the future is now. */
export const since = (at: number, now: number): string => duration(Math.max(0, Math.floor((now - at) / 1000)));

export const clock = (at: number): string => clocks.format(at);
export const day = (at: number): string => days.format(at);
export const moment = (at: number): string => moments.format(at);
