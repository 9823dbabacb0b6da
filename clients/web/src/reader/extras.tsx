import { useEffect, useState } from "preact/hooks";
import { Button } from "../parts/index.js";
import { reader } from "../strings/en.js";
import type { KeptJob } from "./kept.js";
import { client, explained } from "./server.js";

const text = reader.job;

/** Jobs whose end is announced outside of the page, since their reader asked for it. */
const announced = new Set<string>();

/** A button that asks for a notification at the end. */
export function Notify({ job }: { job: KeptJob }) {
  const [asked, setAsked] = useState(announced.has(job.jobId));
  if (!("Notification" in window) || Notification.permission === "denied") return null;
  const ask = async (): Promise<void> => {
    if ((await Notification.requestPermission()) !== "granted") return;
    announced.add(job.jobId);
    setAsked(true);
  };
  return (
    <Button kind="quiet" icon={asked ? "check" : "bell"} disabled={asked} onClick={ask}>
      {asked ? text.notifying : text.notify}
    </Button>
  );
}

/** Announces the end of a job, if that was asked for and nobody looks at the page. */
export function useAnnouncement(job: KeptJob | undefined, ended: boolean, said: string): void {
  useEffect(() => {
    if (!job || !ended || !announced.delete(job.jobId) || document.visibilityState === "visible") return;
    try {
      new Notification(said, { body: job.name, tag: job.jobId });
    } catch {
      // Chrome on phones has them for service workers only; the title of the window says it too.
    }
  }, [job?.jobId, ended]);
}

/** A button that makes a link for somebody else, with which to watch and nothing more. */
export function Share({ job }: { job: KeptJob }) {
  const [said, say] = useState<string>();
  if (!navigator.clipboard) return null; // pages on plain http have none
  const share = async (): Promise<void> => {
    try {
      const { token } = await client.newToken(job, { scopes: ["watch"] });
      await navigator.clipboard.writeText(`${location.href.replace(/#.*/, "")}#/watch/${job.jobId}/${token}`);
      say(text.shared);
    } catch (error) {
      say(explained(error));
    }
  };
  return (
    <>
      <Button kind="quiet" icon="link" onClick={share}>
        {text.share}
      </Button>
      <span class="fine" role="status">
        {said}
      </span>
    </>
  );
}
