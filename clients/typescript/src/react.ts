import { useCallback, useMemo, useSyncExternalStore } from "react";
import { Client, type JobHandle, type State } from "./client.js";
import { BEGINNING, type JobSnapshot, JobView, NOTHING, type ViewOptions } from "./view.js";

export type { JobSnapshot, Phase } from "./view.js";

export interface UseJobOptions extends ViewOptions {
  /** By default one for the page's own server. Components with the same client and job share one connection. */
  readonly client?: Client | undefined;
}

export interface UsedJob extends JobSnapshot {
  readonly pause: () => Promise<State>;
  readonly resume: () => Promise<State>;
  readonly cancel: () => Promise<State>;
  /** Connect at once, also after every attempt has failed. */
  readonly retryConnection: () => void;
}

let ofThePage: Client | undefined;
const views = new WeakMap<Client, Map<string, JobView>>();

/** Follows a job while the component is mounted and `job` is not null. The job goes on when it is unmounted. */
export function useJob(job: JobHandle | null, options: UseJobOptions = {}): UsedJob {
  const client = options.client ?? (ofThePage ??= new Client());
  const { onToken, store } = options;
  const key = job && `${job.jobId} ${job.token}`;
  // The handle may be a new object at every render, and so may the options; only what they say counts.
  const subscribe = useCallback(
    (listener: () => void) => (job ? viewOf(client, job, { onToken, store }).subscribe(listener) : () => {}),
    [client, key],
  );
  const found = (): JobView | undefined => (key === null ? undefined : views.get(client)?.get(key));
  const beginning = job ? BEGINNING : NOTHING;
  const snapshot = useSyncExternalStore(subscribe, () => found()?.snapshot ?? beginning, () => beginning);
  const actions = useMemo(() => {
    const asked = (act: "pause" | "resume" | "cancel") => async () => {
      if (!job) throw new TypeError("There is no job yet");
      return client[act](found()?.job ?? job);
    };
    return { pause: asked("pause"), resume: asked("resume"), cancel: asked("cancel"), retryConnection: () => found()?.retryConnection() };
  }, [client, key]);
  return useMemo(() => ({ ...snapshot, ...actions }), [snapshot, actions]);
}

function viewOf(client: Client, job: JobHandle, options: ViewOptions): JobView {
  const key = `${job.jobId} ${job.token}`;
  let ofClient = views.get(client);
  if (!ofClient) views.set(client, (ofClient = new Map()));
  let view = ofClient.get(key);
  if (!view) ofClient.set(key, (view = new JobView(client, job, options, () => ofClient.delete(key))));
  return view;
}
