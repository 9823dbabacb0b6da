import { pause } from "../clock.js";
import { jobPath } from "../http.js";
import type { State } from "../messages.gen.js";
import { type Way, judge } from "./link.js";

/** How long a poll may wait for a change, in seconds; within what proxies allow. */
const WAIT_SECONDS = 25;
const ANSWER_MS = 45_000;
/** The pause after a poll that brought no change and did not wait for one, as with a server that cannot. */
const EMPTY_MS = 2_000;

/** Receive a job's messages by requesting its state, again and again. */
export const byPolling: Way = async (link, signal) => {
  const { http, clock, position } = link;
  let after = position.shown.after;
  try {
    for (;;) {
      const asked = clock.now();
      const query = { after, wait: WAIT_SECONDS };
      const state: State = await http.data("GET", jobPath(link.job), { job: link.job, query, signal }, ANSWER_MS);
      link.alive();
      link.news(state);
      if (position.shown.over) return undefined;
      const news = state.seq > after;
      after = Math.max(after, state.seq);
      if (!news && clock.now() - asked < EMPTY_MS) await pause(clock, EMPTY_MS, signal);
      if (signal.aborted) return undefined;
    }
  } catch (error) {
    if (signal.aborted) return undefined;
    return judge(error);
  }
};
