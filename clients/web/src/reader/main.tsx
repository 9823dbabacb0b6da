import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Top } from "../parts/index.js";
import { reader as text } from "../strings/en.js";
import { JobPage } from "./job.js";
import { keepJob } from "./kept.js";
import { Start } from "./start.js";

/** A link to watch a job, or to open it as its owner, holds a token: it leaves the address before anything else is done. */
function takeLinked(): void {
  const [, how, jobId, token] = /^#\/(watch|open)\/([^/]+)\/(.+)$/.exec(location.hash) ?? [];
  if (jobId === undefined || token === undefined) return;
  history.replaceState(null, "", `#/job/${jobId}`);
  const job = { jobId, token, name: text.job.watched, kind: "", at: Date.now() };
  keepJob(how === "watch" ? { ...job, watching: true } : { ...job, linked: true });
}

const idInAddress = (): string | undefined => {
  takeLinked();
  return /^#\/job\/([^/]+)$/.exec(location.hash)?.[1];
};

function App() {
  const [id, go] = useState(idInAddress);
  useEffect(() => {
    const moved = (): void => {
      go(idInAddress());
      scrollTo(0, 0);
    };
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  if (id !== undefined) return <JobPage key={id} id={id} />;
  return (
    <>
      <Top />
      <Start />
    </>
  );
}

render(<App />, document.getElementById("app")!);
