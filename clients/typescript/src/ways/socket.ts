import { E_UNAUTHORIZED } from "../codes.gen.js";
import { BadAnswer, RefusedError } from "../errors.js";
import { jobPath, reasonOf } from "../http.js";
import { type Failure, type Link, type Way, isBusy, judge } from "./link.js";

/** To open a socket, and for anything to come after a ping. */
export const ANSWER_MS = 10_000;
/** After this silence the client pings: browsers hide the server's own PINGs from a page. */
const QUIET_MS = 25_000;
const ENDED = 1000;
const MISUSE = 1008;

interface Life {
  opened: boolean;
  heard: boolean;
  /** The close code; undefined where the client gave up. */
  code: number | undefined;
  reason: string;
}

/** Receive a job's messages on the progress socket. */
export const bySocket: Way = async (link, signal) => {
  const { http, job, position } = link;
  const query = { jobId: job.jobId, after: position.shown.after };
  const address = http.address("/ws/progress", query).replace(/^http/, "ws");
  let socket: WebSocket;
  try {
    socket = new link.WebSocket!(address, ["shelfwire.v1", `shelfwire.bearer.${job.token}`]);
  } catch (error) {
    return { kind: "blocked", reason: reasonOf(error) }; // a token that no subprotocol can hold
  }
  const life = await live(socket, link, signal);
  if (position.shown.over || signal.aborted) return undefined;
  if (!life.opened) return whyRefused(link, signal);
  if (life.code === MISUSE) throw new RefusedError({ ...E_UNAUTHORIZED, message: life.reason || E_UNAUTHORIZED.message }, MISUSE);
  if (life.code === ENDED) return { kind: "unfinished", reason: "The socket was closed before the ending" };
  return { kind: life.heard ? "lost" : "mute", reason: life.reason };
};

/** Everything from a socket's handshake to its end; leaves no listener, timer or open socket behind. */
function live(socket: WebSocket, link: Link, signal: AbortSignal): Promise<Life> {
  const life: Life = { opened: false, heard: false, code: undefined, reason: "The server gave no sign of life" };
  return new Promise((resolve) => {
    let cancel = (): void => {};
    const after = (ms: number, act: () => void): void => {
      cancel();
      cancel = link.clock.timer(ms, act);
    };
    const end = (): void => {
      cancel();
      signal.removeEventListener("abort", end);
      socket.onopen = socket.onmessage = socket.onerror = socket.onclose = null;
      link.use(undefined);
      socket.close();
      resolve(life);
    };
    const check = (): void => {
      link.say("ping");
      after(ANSWER_MS, end);
    };
    socket.onopen = () => {
      life.opened = true;
      link.use(socket);
      if (link.position.returning) link.say("sync_request");
      link.position.returning = true;
      check();
    };
    socket.onmessage = ({ data }) => {
      life.heard = true;
      link.alive();
      link.receive(data);
      if (link.position.shown.over) end();
      else after(QUIET_MS, check);
    };
    socket.onclose = ({ code, reason }) => {
      life.code = code;
      life.reason = reason || `The socket was closed with ${code}`;
      end();
    };
    socket.onerror = () => life.opened || end(); // Node 20 says no more of a handshake that failed
    after(ANSWER_MS, end);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

/** A browser does not tell why a handshake failed. HTTP does, and its answer is news. */
async function whyRefused(link: Link, signal: AbortSignal): Promise<Failure | undefined> {
  try {
    link.news(await link.http.data("GET", jobPath(link.job), { job: link.job, signal }, ANSWER_MS));
    return { kind: "blocked", reason: "WebSockets do not get through to the server" };
  } catch (error) {
    if (signal.aborted) return undefined;
    if (error instanceof BadAnswer && isBusy(error.status)) return { kind: "lost", reason: `The server answered ${error.status}` };
    return judge(error);
  }
}
