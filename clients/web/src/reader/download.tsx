import { useState } from "preact/hooks";
import { Alert, Menu } from "../parts/index.js";
import { reader } from "../strings/en.js";
import { appendedTables, joinedLists, joinedTables } from "./joining.js";
import { findJob, fresh, type KeptJob } from "./kept.js";
import { client, explained } from "./server.js";

const text = reader.download;
const FORMATS = ["csv", "json", "goodreads"] as const;
type Format = (typeof FORMATS)[number];
const JOINED: Readonly<Record<Format, (files: readonly string[]) => string>> = { csv: joinedTables, json: joinedLists, goodreads: appendedTables };

/** Downloads what was done, and what mended rows added, with the corrections applied. */
export function Download({ job }: { job: KeptJob }) {
  const [preparing, setPreparing] = useState(false);
  const [problem, setProblem] = useState<unknown>();
  const download = async (format: Format): Promise<void> => {
    setPreparing(true);
    setProblem(undefined);
    try {
      save(await wholeFile(job, format));
    } catch (error) {
      setProblem(error);
    } finally {
      setPreparing(false);
    }
  };
  return (
    <>
      <Menu text={preparing ? text.preparing : text.button} icon="download" items={FORMATS.map((format) => ({ text: text[format][0]!, note: text[format][1]!, onChoose: () => download(format) }))} />
      {problem !== undefined && <Alert>{explained(problem)}</Alert>}
    </>
  );
}

interface NamedFile {
  readonly name: string;
  readonly data: Blob;
}

/** The server's file for a job, with the rows of the jobs that tried its mended rows again. */
async function wholeFile(job: KeptJob, format: Format): Promise<NamedFile> {
  const options = { format, corrected: true, status: "ok" } as const;
  const whole = await client.file(fresh(job), options);
  const parts = [whole.data];
  for (const retry of findJob(job.jobId)?.retries ?? []) parts.push((await client.file(retry, options)).data);
  if (parts.length === 1) return whole;
  const texts = await Promise.all(parts.map((part) => part.text()));
  return { name: whole.name, data: new Blob([JOINED[format](texts)], { type: whole.data.type }) };
}

function save({ name, data }: NamedFile): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(data);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
