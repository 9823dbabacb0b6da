// The operator's answers, as the server's OpenAPI document has them.
import type { State } from "@shelfwire/client";
import type { Status } from "./address.js";

/** A job in the list. */
export interface JobSummary extends Omit<State, "results" | "currentItem"> {
  readonly createdAt: number;
  readonly fileName?: string;
  readonly worker?: string;
  readonly tags?: readonly string[];
}

export interface JobList {
  readonly items: readonly JobSummary[];
  readonly next: string | null;
  readonly counts?: Readonly<Partial<Record<Status, number>>>;
}

export interface JobNews {
  readonly items: readonly JobSummary[];
  readonly gone: readonly string[];
  readonly newer?: number;
}

export interface Share {
  readonly bad: number;
  readonly total: number;
}

export interface Outcome extends Share {
  /** The greatest share of `bad` that is well. */
  readonly target: number | null;
  readonly day: Share;
  readonly sinceStart: Share;
}

export interface Node {
  readonly name?: string;
  readonly version: string;
  readonly workers: number;
  readonly busy?: number;
  readonly seenAt?: number;
}

export interface Overview {
  readonly nodes: readonly Node[];
  readonly workers: ReadonlyArray<{ readonly name: string; readonly remote: boolean; readonly jobs: readonly string[] }>;
  readonly queue: { readonly length: number; readonly ageSeconds: number; readonly stalled: number };
  readonly jobs: Readonly<Record<string, Readonly<Partial<Record<Status, number>>>>>;
  readonly followers: Readonly<Record<string, number>>;
  readonly items: number;
  readonly commits: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number; readonly dataBytes: number } | null;
  readonly success: Readonly<Record<string, Outcome>>;
  readonly webhooks: { readonly waiting: number; readonly givenUp: number };
  readonly stalledJobs: ReadonlyArray<Pick<JobSummary, "jobId" | "lastUpdateTime">>;
  readonly at: number;
}

export interface Series {
  readonly at: readonly number[];
  readonly series: Readonly<Record<string, { readonly p50: ReadonlyArray<number | null>; readonly p99: ReadonlyArray<number | null> }>>;
}

export interface Act {
  readonly at: number;
  readonly key: string;
  readonly action: string;
  readonly outcome: string;
  readonly jobId?: string;
  readonly details?: string;
}

export interface Webhook {
  readonly id: string;
  readonly jobId: string;
  readonly url: string;
  readonly status: string;
  readonly tries: number;
  readonly madeAt: number;
  readonly dueAt?: number;
  readonly endedAt?: number;
  readonly lastError?: string;
}

export interface TimelineEvent {
  readonly at: number;
  readonly kind: string;
  readonly attempt?: number;
  readonly node?: string;
  readonly by?: string;
  readonly code?: string;
}

/** What only operators see of a job. */
export interface JobDetails {
  readonly tokens: ReadonlyArray<{ readonly scopes: readonly string[]; readonly expiresAt: number }>;
  readonly followers: Readonly<Record<string, number>>;
  readonly inputs: ReadonlyArray<{ readonly name: string; readonly size: number }>;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly next: string | null;
}

export interface BulkAnswer {
  readonly matches: number;
  readonly asOf: number;
  readonly done?: number;
  readonly failed?: ReadonlyArray<{ readonly jobId: string; readonly code: string }>;
  readonly left?: number;
  readonly next?: string;
}

export type Role = "admin" | "admin:read";
