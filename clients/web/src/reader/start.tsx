import type { JobHandle } from "@shelfwire/client";
import { type TargetedEvent } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Alert, Bar, Button, Field, Icon, ago, percent } from "../parts/index.js";
import { reader as text } from "../strings/en.js";
import { type KeptJob, apiKey, forgetAllJobs, forgetJob, keepJob, listJobs, onKept, sentFiles } from "./kept.js";
import { creator, explained, isUnauthorized } from "./server.js";

const PHOTO = /\.(heic|heif|avif|jpe?g|png|webp|tiff?|bmp)$/i;
const MOST_PHOTOS = 20;
const MINUTE_MS = 60_000;

const isPhoto = (file: File): boolean => file.type.startsWith("image/") || PHOTO.test(file.name);

interface Choice {
  readonly files: readonly File[];
  readonly photos: boolean;
  readonly name: string;
}

/** What was chosen, or why it cannot be sent. */
function choiceOf(files: readonly File[]): Choice | string {
  const [first] = files;
  const photos = files.filter(isPhoto).length;
  if (!first) return "";
  if (photos > 0 && photos < files.length) return text.start.mixed;
  if (photos === 0 && files.length > 1) return text.start.oneList;
  if (photos > MOST_PHOTOS) return text.start.manyPhotos;
  const empty = files.find(({ size }) => size === 0);
  if (empty) return text.start.emptyFile(empty.name);
  return { files, photos: photos > 0, name: text.start.photosName(first.name, files.length - 1) };
}

type Sending =
  | { readonly state: "none"; readonly problem?: string }
  | { readonly state: "sending"; readonly choice: Choice; readonly share: number | undefined }
  | { readonly state: "refused"; readonly choice: Choice; readonly problem: string }
  | { readonly state: "key"; readonly choice: Choice; readonly wrong: boolean };

export function Start() {
  const [sending, setSending] = useState<Sending>({ state: "none" });
  const abort = useRef<AbortController>(undefined);
  const take = (files: readonly File[]): void => {
    const choice = choiceOf(files);
    if (typeof choice !== "string") void send(choice);
    else if (choice) setSending({ state: "none", problem: choice });
  };
  const send = async (choice: Choice): Promise<void> => {
    const { signal } = (abort.current = new AbortController());
    const hadKey = apiKey.get() !== undefined;
    const onUpload = (share: number | undefined): void => setSending({ state: "sending", choice, share });
    onUpload(0);
    try {
      opened(await (choice.photos ? creator().scan(choice.files, { onUpload, signal }) : creator().importCsv(choice.files[0]!, { onUpload, signal })), choice);
    } catch (error) {
      if (signal.aborted) setSending({ state: "none" });
      else if (isUnauthorized(error)) setSending({ state: "key", choice, wrong: hadKey });
      else setSending({ state: "refused", choice, problem: explained(error) });
    }
  };
  useEffect(() => () => abort.current?.abort(), []);
  const over = useDrop(take, sending.state !== "sending");
  return (
    <main class="start">
      <h1>{text.start.heading}</h1>
      <p class="lead">{text.start.lead}</p>
      <div class={`drop${over ? " over" : ""}`}>
        {sending.state === "none" && <Choose over={over} onTake={take} />}
        {sending.state === "sending" && <Sent sending={sending} onCancel={() => abort.current?.abort()} />}
        {sending.state === "refused" && (
          <>
            <Alert>
              <p>{sending.problem}</p>
            </Alert>
            <p class="fine">
              <bdi>{text.start.kept(sending.choice.name)}</bdi>
            </p>
            <div class="choose">
              <Button kind="main" icon="retry" onClick={() => send(sending.choice)}>
                {text.start.again}
              </Button>
              <Button onClick={() => setSending({ state: "none" })}>{text.start.other}</Button>
            </div>
          </>
        )}
        {sending.state === "key" && <AskKey refused={sending.wrong} onKey={() => send(sending.choice)} onLeave={() => setSending({ state: "none" })} />}
      </div>
      {sending.state === "none" && sending.problem && (
        <Alert>
          <p>{sending.problem}</p>
        </Alert>
      )}
      <p class="reads">{text.start.reads}</p>
      <Earlier />
    </main>
  );
}

function opened(job: JobHandle, { files, photos, name }: Choice): void {
  sentFiles.set(job.jobId, files);
  keepJob({ ...job, name, kind: photos ? "ai_scan" : "csv_import", at: Date.now() });
  location.hash = `#/job/${job.jobId}`;
}

/** Takes what is dropped anywhere on the page; returns whether something hovers over it. */
function useDrop(take: (files: readonly File[]) => void, ready: boolean): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    let depth = 0;
    const stop = new AbortController();
    const on = (name: "dragenter" | "dragleave" | "dragover" | "drop", act: (event: DragEvent) => void): void =>
      addEventListener(name, (event) => (event.preventDefault(), act(event)), { signal: stop.signal });
    on("dragenter", () => setOver((depth += 1) > 0 && ready));
    on("dragleave", () => setOver((depth -= 1) > 0 && ready));
    on("dragover", () => {});
    on("drop", (event) => {
      depth = 0;
      setOver(false);
      if (ready) latest.current([...(event.dataTransfer?.files ?? [])]);
    });
    return () => stop.abort();
  }, [ready]);
  return over;
}

function Choose({ over, onTake }: { over: boolean; onTake: (files: readonly File[]) => void }) {
  const chosen = (event: TargetedEvent<HTMLInputElement>): void => {
    const files = [...(event.currentTarget.files ?? [])];
    event.currentTarget.value = ""; // so that the same file can be chosen again
    onTake(files);
  };
  return (
    <>
      <Icon name="upload" size={36} />
      <p class="big-label">{over ? text.start.dropNow : text.start.drop}</p>
      <div class="choose">
        <label class="button main">
          <Icon name="book" />
          {text.start.list}
          <input class="sr" type="file" accept=".csv,.tsv,.txt,.xlsx,.ods,.zip,text/csv" onChange={chosen} />
        </label>
        <label class="button">
          <Icon name="camera" />
          {text.start.photos}
          <input class="sr" type="file" accept="image/*,.heic,.heif" multiple onChange={chosen} />
        </label>
      </div>
      <p class="fine">{text.start.limits}</p>
    </>
  );
}

function Sent({ sending, onCancel }: { sending: Sending & { state: "sending" }; onCancel: () => void }) {
  const { choice, share } = sending;
  const said = share === 1 ? text.start.received : share === undefined ? "" : text.start.sentShare(percent(share));
  return (
    <div class="sending">
      <p class="big-label" role="status">
        <bdi>{text.start.sending(choice.name)}</bdi>
      </p>
      <Bar label={text.start.sent} share={share === 1 ? undefined : share} text={share === undefined ? "" : percent(Math.floor(share * 10) / 10)} />
      <p class="fine">{said}</p>
      <div class="choose">
        <Button icon="cross" onClick={onCancel}>
          {text.start.cancel}
        </Button>
      </div>
    </div>
  );
}

function AskKey({ refused, onKey, onLeave }: { refused: boolean; onKey: () => void; onLeave: () => void }) {
  const [key, setKey] = useState("");
  const [wrong, setWrong] = useState(refused);
  const submit = (event: Event): void => {
    event.preventDefault();
    const fits = /^[!-~]+$/.test(key.trim()); // others cannot be sent
    setWrong(!fits);
    if (!fits) return;
    apiKey.set(key.trim());
    onKey();
  };
  useEffect(() => {
    if (refused) apiKey.forget();
  }, []);
  return (
    <form class="ask-key" onSubmit={submit}>
      <p class={wrong ? "wrong" : ""} role={wrong ? "alert" : "status"} id="ask-key">
        {wrong ? `${text.start.wrongKey} ` : ""}
        {text.start.key}
      </p>
      <Field label={text.start.keyLabel} type="password" value={key} focus invalid={wrong} describedBy="ask-key" onInput={setKey} />
      <p class="fine">{text.start.keyNote}</p>
      <div class="choose">
        <Button kind="main" submit disabled={key.trim() === ""}>
          {text.start.again}
        </Button>
        <Button onClick={onLeave}>{text.start.other}</Button>
      </div>
    </form>
  );
}

function Earlier() {
  const [jobs, setJobs] = useState(listJobs);
  const [now, setNow] = useState(Date.now);
  const again = (): void => setJobs(listJobs());
  useEffect(() => onKept(again), []);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), MINUTE_MS);
    return () => clearInterval(timer);
  }, []);
  if (jobs.length === 0) return null;
  const forget = (job: KeptJob): void => {
    forgetJob(job.jobId);
    again();
  };
  return (
    <section class="earlier" aria-labelledby="earlier">
      <div class="heading">
        <h2 id="earlier">{text.start.earlier}</h2>
        <Button kind="quiet" onClick={() => (forgetAllJobs(), again())}>
          {text.start.forgetAll}
        </Button>
      </div>
      <ul>
        {jobs.map((job) => (
          <li key={job.jobId}>
            <a href={`#/job/${job.jobId}`}>
              <Icon name={job.kind === "ai_scan" ? "camera" : "book"} />
              <span class="name">
                <bdi>{job.name}</bdi>
              </span>
              <span class="when">{ago(job.at, now)}</span>
            </a>
            <Button kind="quiet" icon="trash" label={text.start.forget(job.name)} onClick={() => forget(job)} />
          </li>
        ))}
      </ul>
      <p class="fine">{text.start.earlierNote}</p>
    </section>
  );
}

/** What stands in place of a job that cannot be shown. */
export function NoJob({ heading, lead }: { heading: string; lead: string }) {
  return (
    <main class="start">
      <h1>{heading}</h1>
      <p class="lead">{lead}</p>
      <p class="choose">
        <a class="button main" href="#/">
          {text.job.again}
        </a>
      </p>
    </main>
  );
}
