// What a page needs to start a job and to follow it, with nothing but fetch, EventSource and WebSocket.

const DELAYS = [2, 4, 8, 16, 30]; // seconds before each attempt to come back, as the contract has them
const EVENTS = ["job_started", "job_progress", "job_complete", "job_error"];

const isEnding = (message) => message.type === "job_complete" || message.type === "error";
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** Start an import of a list of books; return the job, whose token is all that it takes to come back to it. */
export async function startImport(server, file) {
  const form = new FormData();
  form.append("file", file);
  const headers = { "Idempotency-Key": crypto.randomUUID() };
  const answer = await fetch(`${server}/api/import/csv-gemini`, { method: "POST", body: form, headers });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.userMessage);
  return { jobId: body.data.jobId, token: body.data.token };
}

/** Return a job's state. An error with `refused` means that coming back is of no use. */
export async function state(server, job) {
  const headers = { Authorization: `Bearer ${job.token}` };
  const answer = await fetch(`${server}/api/jobs/${job.jobId}`, { headers });
  const body = await answer.json();
  if (answer.ok) return body.data;
  throw Object.assign(new Error(body.userMessage), { refused: !body.retryable });
}

/** Follow a job by server-sent events; return its terminal message. */
export async function followByEvents(server, job, onMessage) {
  return comingBack(server, job, (heard) => new Promise((resolve) => {
    const source = new EventSource(`${server}/api/jobs/${job.jobId}/events?token=${encodeURIComponent(job.token)}`);
    const receive = (event) => {
      const message = JSON.parse(event.data);
      heard();
      onMessage(message);
      if (!isEnding(message)) return;
      source.close(); // it would come back after the end of the stream
      resolve(message);
    };
    for (const type of EVENTS) source.addEventListener(type, receive);
    source.onerror = () => {
      // Cut off, it comes back by itself. Refused, it does not, and does not say why.
      if (source.readyState === EventSource.CLOSED) resolve(null);
    };
  }));
}

/** Follow a job by the progress socket; return its terminal message. */
export async function followBySocket(server, job, onMessage) {
  let seq = 0;
  return comingBack(server, job, (heard) => new Promise((resolve) => {
    const address = `${server.replace(/^http/, "ws")}/ws/progress?jobId=${job.jobId}&after=${seq}`;
    // A page cannot set headers of a socket; as a subprotocol the token stays out of the address, and so out of logs.
    const socket = new WebSocket(address, ["shelfwire.v1", `shelfwire.bearer.${job.token}`]);
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      heard();
      if (message.seq < seq && !isEnding(message)) return; // older than what was shown
      if (message.type !== "job_started") seq = message.seq ?? seq;
      onMessage(message);
      if (!isEnding(message)) return;
      socket.close(1000);
      resolve(message);
    };
    socket.onerror = socket.onclose = () => resolve(null); // without an ending, whatever its code is
  }));
}

/** Connect until there is an ending, unless the server refuses for good or five attempts in a row fail. */
async function comingBack(server, job, connect) {
  for (let attempts = 0; attempts <= DELAYS.length; attempts += 1) {
    const ending = await connect(() => { attempts = 0; });
    if (ending) return ending;
    try {
      await state(server, job); // a page does not see why a stream or a socket was refused, but it sees this
    } catch (error) {
      if (error.refused) throw error;
    }
    if (attempts < DELAYS.length) await pause(DELAYS[attempts] * (1 - Math.random() / 2));
  }
  throw new Error("The connection was lost. The job goes on; look again in a moment.");
}
