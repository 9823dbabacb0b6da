import { Deadline } from "../clock.js";
import { jobPath } from "../http.js";
import { type Way, judge } from "./link.js";

/** For the first event: one comes at once, unless the stream goes on after an earlier one. */
const FIRST_MS = 5_000;
const HANDSHAKE_MS = 10_000;
/** How long a stream may be silent; a living one sends a comment three times in it. */
const SILENCE_MS = 45_000;
/** Twice what any message may have, in characters. */
const MAX_EVENT = 2 * 1024 * 1024;

/** Receive a job's messages on a stream of server-sent events. */
export const byStream: Way = async (link, signal) => {
  const { http, job, position } = link;
  const last = position.eventId;
  position.eventId = ""; // should the server refuse it, the next stream starts from the beginning
  const deadline = new Deadline(link.clock, signal);
  let opened = false;
  let heard = last !== "";
  try {
    deadline.beat(last ? HANDSHAKE_MS : FIRST_MS);
    const headers = { Accept: "text/event-stream", ...(last && { "Last-Event-ID": last }) };
    const response = await http.send("GET", jobPath(job, "/events"), { job, headers, signal: deadline.signal });
    if (!response.headers.get("Content-Type")?.startsWith("text/event-stream") || !response.body) {
      return { kind: "blocked", reason: "There is no event stream" };
    }
    opened = true;
    position.eventId = last;
    if (last) deadline.beat(SILENCE_MS);
    for await (const events of eventsIn(response.body)) {
      heard ||= events.length > 0;
      if (!heard) continue;
      deadline.beat(SILENCE_MS);
      link.alive();
      for (const { id, data } of events) {
        position.eventId = id || last;
        link.receive(data);
        if (position.shown.over) return undefined;
      }
    }
    return { kind: heard ? "lost" : "mute", reason: "The event stream ended before the job did" };
  } catch (error) {
    if (signal.aborted) return undefined;
    if (deadline.passed) return { kind: heard ? "lost" : "blocked", reason: "The event stream is silent" };
    const failure = judge(error);
    return opened && !heard ? { ...failure, kind: "mute" } : failure;
  } finally {
    deadline.end();
  }
};

export interface ServerEvent {
  /** `message`, unless the stream gives it another name. */
  readonly type: string;
  /** The last id that the stream has named. */
  readonly id: string;
  readonly data: string;
}

/** The events in each piece of a stream, none where it held only comments. Leaving the iteration cancels the stream. */
export async function* eventsIn(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent[]> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield parser.feed(decoder.decode(value, { stream: true }));
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Reads server-sent events out of text that comes in pieces. Source: the HTML standard, section 9.2.6. */
export class EventParser {
  #rest = "";
  #data: string[] = [];
  #id = "";
  #type = "";

  /** The events that this piece completes. Throws a `TypeError` if one has no end. */
  feed(text: string): ServerEvent[] {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/); // a \r at the end may be half of a line break
    this.#rest = lines.pop() ?? "";
    const events: ServerEvent[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) events.push({ type: this.#type || "message", id: this.#id, data: this.#data.join("\n") });
        this.#data = [];
        this.#type = "";
        continue;
      }
      const [, name, value = ""] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? [];
      if (name === "data") this.#data.push(value);
      else if (name === "event") this.#type = value;
      else if (name === "id" && !value.includes("\0")) this.#id = value;
    }
    const size = this.#data.reduce((sum, line) => sum + line.length, this.#rest.length);
    if (size > MAX_EVENT) throw new TypeError("An event of the stream is larger than any message");
    return events;
  }
}
