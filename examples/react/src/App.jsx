import { Client } from "@shelfwire/client";
import { useJob } from "@shelfwire/client/react";
import { useState } from "react";

// By default the server is the one that the page came from.
const client = new Client({ url: import.meta.env.VITE_SHELFWIRE });

export function App() {
  const [job, setJob] = useState(null);
  const [problem, setProblem] = useState("");

  async function start(event) {
    setProblem("");
    try {
      setJob(await client.importCsv(event.target.files[0]));
    } catch (error) {
      setProblem(error.userMessage);
    }
  }

  return (
    <main>
      <h1>Import a list of books</h1>
      <label>
        Book list <input type="file" accept=".csv,.tsv,.xlsx,.ods,.zip" onChange={start} />
      </label>
      {problem && <p role="alert">{problem}</p>}
      {job && <Progress job={job} />}
    </main>
  );
}

/** Any number of components may use one job; they share a connection. */
function Progress({ job }) {
  const { phase, processed, total, failures, title, error, userMessage, pause, resume, cancel, retryConnection } = useJob(job, { client });
  if (error) {
    return (
      <p role="alert">
        {error.userMessage} <button onClick={retryConnection}>Connect again</button>
      </p>
    );
  }
  const over = ["complete", "failed", "canceled"].includes(phase);
  return (
    <section>
      <progress aria-label="Progress" max={total ?? 1} value={processed} />
      <p role="status">
        {phase}: {processed} of {total ?? "…"}, {failures} failed. {over ? userMessage : title}
      </p>
      {!over && (phase === "paused" ? <button onClick={resume}>Resume</button> : <button onClick={pause}>Pause</button>)}
      {!over && <button onClick={cancel}>Cancel</button>}
    </section>
  );
}
