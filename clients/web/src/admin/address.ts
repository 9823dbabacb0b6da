// What the page shows, as the fragment of its address: all filters are there, so that they survive a reload and can be sent.

export const STATUSES = ["queued", "running", "paused", "canceling", "failed", "canceled", "complete"] as const;
export type Status = (typeof STATUSES)[number];

/** How far back jobs may have been made, in milliseconds. */
export const WITHIN = { "1h": 3_600_000, "24h": 86_400_000, "7d": 604_800_000 } as const;
export type Within = keyof typeof WITHIN;
export const WINDOWS = ["15m", "6h", "7d"] as const;
export type Window = (typeof WINDOWS)[number];
export const DELIVERIES = ["waiting", "done", "given_up"] as const;

/** What jobs are listed by. `code` and `search` are one parameter of the server's, so there is one of them. */
export interface Filters {
  readonly status: readonly Status[];
  readonly pipeline?: string | undefined;
  readonly tag?: string | undefined;
  readonly code?: string | undefined;
  readonly search?: string | undefined;
  readonly within?: Within | undefined;
}

export interface JobsView extends Filters {
  /** Only running jobs that have recorded nothing for long, whatever `status` says; the page picks them out itself. */
  readonly stalled?: boolean | undefined;
  readonly oldest: boolean;
  readonly cursor?: string | undefined;
}

export type Place =
  | { readonly screen: "overview"; readonly window: Window }
  | ({ readonly screen: "jobs" } & JobsView)
  | { readonly screen: "job"; readonly id: string }
  | { readonly screen: "webhooks"; readonly status?: string | undefined; readonly cursor?: string | undefined }
  | { readonly screen: "audit"; readonly job?: string | undefined; readonly key?: string | undefined; readonly cursor?: string | undefined };

type Query = Readonly<Record<string, string | undefined>>;

/** The place that a fragment stands for. What it does not understand is left out. */
export function placeOf(fragment: string): Place {
  const [path = "", text = ""] = fragment.replace(/^#?\/?/, "").split(/\?(.*)/s);
  const query = new URLSearchParams(text);
  const given = (name: string): string | undefined => query.get(name) || undefined;
  const [screen, id] = path.split("/");
  switch (screen) {
    case "jobs":
      return {
        screen,
        status: STATUSES.filter((one) => (given("status") ?? "").split(",").includes(one)),
        pipeline: given("pipeline"),
        tag: given("tag"),
        code: given("code"),
        search: given("code") ? undefined : given("q"),
        within: Object.keys(WITHIN).find((one): one is Within => one === given("within")),
        stalled: given("stalled") === "1" || undefined,
        oldest: given("sort") === "created",
        cursor: given("cursor"),
      };
    case "job":
      return id ? { screen, id: decoded(id) } : placeOf("");
    case "webhooks":
      return { screen, status: DELIVERIES.find((one) => one === given("status")), cursor: given("cursor") };
    case "audit":
      return { screen, job: given("job"), key: given("key"), cursor: given("cursor") };
    default:
      return { screen: "overview", window: WINDOWS.find((one) => one === given("window")) ?? "15m" };
  }
}

/** The fragment of a place. */
export function fragmentOf(place: Place): string {
  switch (place.screen) {
    case "overview":
      return `#/${written({ window: place.window === "15m" ? undefined : place.window })}`;
    case "jobs": {
      const { status, stalled, pipeline, tag, code, search, within, oldest, cursor } = place;
      return `#/jobs${written({ status: status.join(","), stalled: stalled ? "1" : "", pipeline, tag, code, q: search, within, sort: oldest ? "created" : "", cursor })}`;
    }
    case "job":
      return `#/job/${encodeURIComponent(place.id)}`;
    case "webhooks":
      return `#/webhooks${written({ status: place.status, cursor: place.cursor })}`;
    case "audit":
      return `#/audit${written({ job: place.job, key: place.key, cursor: place.cursor })}`;
  }
}

export const jobsWith = (filters: Partial<JobsView>): string => fragmentOf({ screen: "jobs", status: [], oldest: false, ...filters });

/** The body's `filter` of an action on many jobs; `now` in milliseconds. */
export function filterOf(filters: Filters, now: number): Readonly<Record<string, unknown>> {
  const { status, pipeline, tag, code, search, within } = filters;
  return given({
    status: status.length ? status : undefined,
    pipeline,
    tag,
    q: code ?? search,
    since: within && now - WITHIN[within],
  });
}

/** The query of the list of jobs. */
export function queryOf(view: JobsView, now: number): Record<string, string | number | undefined> {
  const { status, ...others } = filterOf(view, now) as Record<string, string | number>;
  const wanted = view.stalled ? ["running"] : view.status;
  return { ...others, status: wanted.join(",") || undefined, sort: view.oldest ? "created" : undefined, cursor: view.cursor };
}

/** Whether anything narrows the list down. */
export const isNarrowed = (view: JobsView): boolean => !!view.stalled || Object.keys(filterOf(view, 0)).length > 0;

function written(query: Query): string {
  const text = new URLSearchParams(given(query) as Record<string, string>).toString();
  return text ? `?${text.replaceAll("%2C", ",")}` : "";
}

const given = (members: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined && value !== ""));

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
