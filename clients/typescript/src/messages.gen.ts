// Made by generate.py from the server's schemas. Do not edit.

/** Where a book stands on a photo. */
export type BookPlace = {
  /** The photo's place among those of the job, from 0. */
  readonly photo: number;
  /** The outline on the photo: corners [x, y]; empty if it is unknown. */
  readonly polygon: ReadonlyArray<readonly [number, number]>;
};

/** The item of a progress message, beside its title. */
export type CurrentItem = {
  /** Its ISBN. */
  readonly isbn?: string;
  /** Its author. */
  readonly author?: string;
};

/** The result for a book; what no provider knows is left out. */
export type EnrichedBook = {
  /** The place of the book in the list that was sent, from 0. */
  readonly index: number;
  /** The title of the edition, or of the work where no edition is known. */
  readonly title: string;
  /** Their names, given name first. */
  readonly authors: ReadonlyArray<string>;
  /** How it was found. */
  readonly match: MatchInfo;
  /** The title of the work, where it is known beside the edition's. */
  readonly workTitle?: string;
  /** The subtitle. */
  readonly subtitle?: string;
  /** A valid ISBN-13 without hyphens. */
  readonly isbn13?: string;
  /** The same number as ISBN-10; those that begin with 979 have none. */
  readonly isbn10?: string;
  /** The publisher. */
  readonly publisher?: string;
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly publishedDate?: string;
  /** Number of pages. */
  readonly pages?: number;
  /** ISO 639-1 where the language has such a code. */
  readonly language?: string;
  /** What the book is about; at most 12. */
  readonly subjects?: ReadonlyArray<string>;
  /** Plain text of at most 2,000 characters. */
  readonly description?: string;
  /** An image, by https. */
  readonly coverUrl?: string;
  /** Each provider's own numbers, by system. */
  readonly identifiers?: Record<string, unknown>;
  /** The provider of each of the other members, by the member's name. */
  readonly sources?: Record<string, unknown>;
  /** What was wrong with the book that was asked for, for a person. */
  readonly warnings?: ReadonlyArray<string>;
};

/** Why a book was not enriched, with what is known of it nevertheless. */
export type EnrichmentError = {
  /** The error's code. */
  readonly code: string;
  /** What happened, for a developer. */
  readonly message: string;
  /** What happened, for a person. */
  readonly userMessage: string;
  /** Whether looking it up again may help. */
  readonly retryable: boolean;
  /** Books that may be it, the likeliest first. */
  readonly candidates?: ReadonlyArray<LookupCandidate>;
  /** The providers that did not answer. */
  readonly providers?: ReadonlyArray<string>;
  /** Why each of these did not, such as `key_refused` or `day_quota`. */
  readonly reasons?: Record<string, unknown>;
};

/** The error codes that are known. Others may come, from later versions and from pipelines. */
export type ErrorCode = string;

/** What stood in the way of reading a photo. */
export type Hint = "blurred" | "script_not_read";

/** How the file was read. */
export type ImportPlan = {
  /** The program or site that wrote it, or `generic`. */
  readonly source: string;
  /** Its encoding, as Python calls it. */
  readonly encoding: string;
  /** What separates its cells. */
  readonly delimiter: string;
  /** The row that names the columns, from 1; 0 if there is none. */
  readonly headerRow: number;
  /** Every column, in the order of the file. */
  readonly columns: ReadonlyArray<PlannedColumn>;
  /** The columns with data that were not used. */
  readonly unusedColumns?: ReadonlyArray<UnusedColumn>;
  /** What of this was guessed, for a person. */
  readonly warnings?: ReadonlyArray<string>;
};

/** A book of the list; what its row does not say is left out. */
export type ImportedBook = {
  /** The title; the ISBN or another identifier if the row has no title. */
  readonly title: string;
  /** Their names, first name first, in the order of the row. */
  readonly authors: ReadonlyArray<string>;
  /** The number of the row, from 1, as a spreadsheet shows it. */
  readonly row: number;
  /** A valid ISBN-13 without hyphens, given or converted. */
  readonly isbn13?: string;
  /** A valid ISBN-10 without hyphens, given or converted; ISBNs that begin with 979 have none. */
  readonly isbn10?: string;
  /** Other valid ISBN-13s that the row has, such as those of other formats. */
  readonly otherIsbns?: ReadonlyArray<string>;
  /** What the row has for an ISBN but is none; `warnings` says why. */
  readonly isbnAsGiven?: string;
  /** The subtitle, if it has its own column. */
  readonly subtitle?: string;
  /** The series, with the number in it ("Earthsea #2") if the row has one; several are separated by semicolons. */
  readonly series?: string;
  /** The number of the volume, as given, where it is not in `series`. */
  readonly volume?: string;
  /** The edition, as given. */
  readonly edition?: string;
  /** The publisher. */
  readonly publisher?: string;
  /** Year of this edition. */
  readonly year?: number;
  /** Year of the first edition; negative is BC. */
  readonly originalYear?: number;
  /** Number of pages, 1 to 100,000. */
  readonly pages?: number;
  /** Binding or medium, as given. */
  readonly format?: string;
  /** The language, as given. */
  readonly language?: string;
  /** `read`, `currently-reading`, `to-read`, `did-not-finish`, `paused`, `wishlist` or `owned`; any other shelf as given. */
  readonly shelf?: string;
  /** The other shelves, genres or tags. */
  readonly tags?: ReadonlyArray<string>;
  /** Stars, 0.25 to 5. */
  readonly rating?: number;
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly dateStarted?: string;
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly dateRead?: string;
  /** When reading ended, every time; the last is `dateRead`. */
  readonly datesRead?: ReadonlyArray<string>;
  /** Every time that it was read, as far as dates are known. */
  readonly reads?: ReadonlyArray<Read>;
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly dateAdded?: string;
  /** How many copies the reader owns, if the row says so. */
  readonly copies?: number;
  /** How often it was read, if more than once. */
  readonly readCount?: number;
  /** The reader's review as plain text, below its title if it has one, at most 100,000 characters. */
  readonly review?: string;
  /** The reader's private notes as plain text, at most 100,000 characters. */
  readonly notes?: string;
  /** Other numbers by system: `asin`, `goodreads`, `openlibrary`, `librarything`, `oclc`, … */
  readonly identifiers?: Record<string, unknown>;
  /** What could not be taken as given, for a person. */
  readonly warnings?: ReadonlyArray<string>;
  /** What the providers of book data know of it, if the job enriches. */
  readonly enriched?: EnrichedBook;
  /** Why it was not enriched. */
  readonly enrichmentError?: EnrichmentError;
  /** How the file was read; with the first row alone. */
  readonly plan?: ImportPlan;
};

/** Why an item failed. It goes from the store to the wire as it is, with the members that its pipeline adds. */
export type ItemError = {
  /** An entry of the table of error codes. */
  readonly code: ErrorCode | string;
  /** What happened, for a developer. */
  readonly message: string;
  /** What happened and what to do next, for a person. */
  readonly userMessage: string;
  /** Whether the item may succeed in another job. */
  readonly retryable: boolean;
  /** The number of the row, from 1, as a spreadsheet shows it. */
  readonly row?: number;
  /** The row that has the same book, for `E_DUPLICATE`. */
  readonly earlierRow?: number;
  /** Its cells by the names of their columns, 4 KiB at most; none for `E_DUPLICATE`. */
  readonly cells?: Record<string, unknown>;
  /** The columns whose cells are longer than `cells` shows them. */
  readonly clipped?: ReadonlyArray<string>;
  /** The column to look at first. */
  readonly field?: string;
  /** How the file was read; with the first row alone. */
  readonly plan?: ImportPlan;
  /** The photo's place among those of the job, from 0. */
  readonly photo?: number;
  /** What was looked up, in the form in which it is mended. */
  readonly asked?: MendedBook;
  /** Books that may be it, the likeliest first. */
  readonly candidates?: ReadonlyArray<LookupCandidate>;
  /** The providers that did not answer. */
  readonly providers?: ReadonlyArray<string>;
  /** Why each of these did not, such as `key_refused` or `day_quota`. */
  readonly reasons?: Record<string, unknown>;
};

/** The job is complete. `results` is present even when it is empty. Terminal. */
export type JobComplete = {
  /** Items that were done. */
  readonly successCount: number;
  /** Items that failed. */
  readonly failureCount: number;
  /** Seconds from the start to the end. */
  readonly duration: number;
  /** What the pipeline made of the items; its shape is the pipeline's. */
  readonly results: unknown;
  /** A sentence for the user about the outcome. */
  readonly summary?: string;
  /** Where all results are, relative to the server, if not all are here. */
  readonly resultsUrl?: string;
  /** True if `results` holds only the first of them. */
  readonly truncated?: boolean;
};

/** The job is complete. `results` is present even when it is empty. Terminal. */
export type JobCompleteMessage = {
  /** The type of the message, which determines its payload. */
  readonly type: "job_complete";
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** Version of the wire contract. */
  readonly version: "1.0.0";
  readonly payload: JobComplete;
  /** The job's revision that the message shows; absent on `pong` and on messages from clients. */
  readonly seq?: number;
};

/** The job failed or was canceled. Terminal. */
export type JobError = {
  /** An entry of the table of error codes; pipelines may add their own. */
  readonly code: ErrorCode | string;
  /** What happened, for a developer. */
  readonly message: string;
  /** What happened and what to do next, for the user. */
  readonly userMessage: string;
  /** Whether a new job with the same input may succeed. */
  readonly retryable: boolean;
  /** Names of the items concerned. */
  readonly affectedItems?: ReadonlyArray<string>;
  /** Further values, for a program. */
  readonly details?: unknown;
};

/** The job failed or was canceled. Terminal. */
export type JobErrorMessage = {
  /** The type of the message, which determines its payload. */
  readonly type: "error";
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** Version of the wire contract. */
  readonly version: "1.0.0";
  readonly payload: JobError;
  /** The job's revision that the message shows; absent on `pong` and on messages from clients. */
  readonly seq?: number;
};

/** The job's newest state; may replace any number of earlier ones. */
export type JobProgress = {
  /** Items recorded, done or failed; never falls. */
  readonly processedCount: number;
  /** Items in the input, once known. */
  readonly totalCount?: number;
  /** Items that failed. */
  readonly failureCount?: number;
  /** Title of the item recorded last. */
  readonly currentTitle?: string;
  /** More about the item recorded last. */
  readonly currentItem?: CurrentItem;
  /** A message for the user, beside the counts. */
  readonly userMessage?: string;
  /** The job's status. */
  readonly state?: string;
  /** Seconds that are left, from the measured rate. */
  readonly etaSeconds?: number;
};

/** The job's newest state; may replace any number of earlier ones. */
export type JobProgressMessage = {
  /** The type of the message, which determines its payload. */
  readonly type: "job_progress";
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** Version of the wire contract. */
  readonly version: "1.0.0";
  readonly payload: JobProgress;
  /** The job's revision that the message shows; absent on `pong` and on messages from clients. */
  readonly seq?: number;
};

/** Sent once on a connection, when the number of items is known. */
export type JobStarted = {
  /** Items in the input. */
  readonly totalCount: number;
  /** Seconds the whole job is expected to take. */
  readonly estimatedDuration?: number;
  /** What the job works on. */
  readonly metadata?: Metadata;
};

/** Sent once on a connection, when the number of items is known. */
export type JobStartedMessage = {
  /** The type of the message, which determines its payload. */
  readonly type: "job_started";
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** Version of the wire contract. */
  readonly version: "1.0.0";
  readonly payload: JobStarted;
  /** The job's revision that the message shows; absent on `pong` and on messages from clients. */
  readonly seq?: number;
};

/** The routes of a job, as paths with all that comes before them on their host. */
export type Links = {
  /** Its state; DELETE erases the job. */
  readonly self: string;
  /** Its results, item by item. */
  readonly results: string;
  /** Its progress, as server-sent events. */
  readonly events: string;
  /** Its progress, over a WebSocket. */
  readonly progress: string;
  /** POST cancels it. */
  readonly cancel: string;
  /** POST pauses it. */
  readonly pause: string;
  /** POST resumes it. */
  readonly resume: string;
  /** POST creates a new job over its failed and unrecorded items. */
  readonly retry: string;
  /** POST issues another token, DELETE revokes the one it is called with. */
  readonly token: string;
  /** Its items so far, for its worker elsewhere, with the report token. */
  readonly log?: string;
};

/** A book that may be the one looked up. */
export type LookupCandidate = {
  /** Its title. */
  readonly title: string;
  /** Their names, given name first. */
  readonly authors?: ReadonlyArray<string>;
  /** An ISBN-13 without hyphens. */
  readonly isbn13?: string;
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly publishedDate?: string;
  /** An image, by https. */
  readonly coverUrl?: string;
  /** How it was found: by `isbn` or by `title`. */
  readonly by: string;
  /** How likely it is the book, from 0 to 1. */
  readonly score: number;
  /** The provider that knows it. */
  readonly provider: string;
};

/** How a result was found. */
export type MatchInfo = {
  /** Whether it was found by ISBN or by title. */
  readonly by: Way;
  /** How sure it is that this is the book, from 0 to 1. */
  readonly score: number;
  /** The provider whose match it is. */
  readonly provider: string;
};

/** A book in place of an item. */
export type MendedBook = {
  /** The title. */
  readonly title: string;
  /** The author; several are separated by semicolons. */
  readonly author?: string;
  /** Its ISBN. */
  readonly isbn?: string;
};

/** What the job works on. */
export type Metadata = {
  /** Name of the file, as given. */
  readonly fileName?: string;
  /** Size of the file in bytes. */
  readonly fileSize?: number;
  /** Number of photos. */
  readonly photoCount?: number;
};

/** The books on one photo. */
export type PhotoResult = {
  /** The books, in reading order. */
  readonly books: ReadonlyArray<ScannedBook>;
  /** The number of books. */
  readonly bookCount: number;
  /** What read the photo: `offline` or `gemini`. */
  readonly reader: string;
  /** Width of the photo in pixels, turned as its EXIF says. */
  readonly width: number;
  /** Height of the photo in pixels, turned as its EXIF says. */
  readonly height: number;
  /** What stood in the way of reading it: `blurred`; `script_not_read`: it has text in a script that the reader does not know. */
  readonly hints?: ReadonlyArray<Hint>;
  /** Tokens of Gemini that were used. */
  readonly tokens?: number;
  /** The code Gemini failed with, if the offline reader stood in for it. */
  readonly insteadOf?: string;
};

/** A client's request for a `pong`. */
export type Ping = {
  /** Any number; the answer repeats it. */
  readonly clientTime?: number;
  /** Jobs that the client gave up to follow since it last said so, for statistics. */
  readonly lost?: number;
  /** Messages that it could not read since it last said so, for statistics. */
  readonly undecodable?: number;
};

/** A client's request for a `pong`. */
export type PingMessage = {
  /** The type of the message, which determines its payload. */
  readonly type: "ping";
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** Version of the wire contract. */
  readonly version: "1.0.0";
  readonly payload: Ping;
  /** The job's revision that the message shows; absent on `pong` and on messages from clients. */
  readonly seq?: number;
};

/** What a column of the file was taken for. */
export type PlannedColumn = {
  /** Its name in the header, or its number if it has none. */
  readonly column: string;
  /** What it was taken for; absent if it is not used. */
  readonly holds?: string;
  /** What says so: `export` (a known program writes it so), `name`, `cells`, `position`, `gemini` or `person` (the option `columns`). */
  readonly by?: string;
  /** Some of its cells, shortened. */
  readonly examples?: ReadonlyArray<string>;
};

/** The answer to a ping. */
export type Pong = {
  /** The number of the ping. */
  readonly clientTime?: number;
};

/** The answer to a ping. */
export type PongMessage = {
  /** The type of the message, which determines its payload. */
  readonly type: "pong";
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** Version of the wire contract. */
  readonly version: "1.0.0";
  readonly payload: Pong;
  /** The job's revision that the message shows; absent on `pong` and on messages from clients. */
  readonly seq?: number;
};

/** A book that a catalogue proposes without being sure. */
export type ProposedBook = {
  /** The title. */
  readonly title: string;
  /** Their names; may be empty. */
  readonly authors: ReadonlyArray<string>;
  /** An ISBN-13 without hyphens. */
  readonly isbn13?: string;
};

/** One time that the book was read. */
export type Read = {
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly started?: string;
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly finished?: string;
  /** `YYYY-MM-DD`, or as much of it as is known. */
  readonly stopped?: string;
  /** Stars for this read, where each has a row of its own. */
  readonly rating?: number;
  /** What was written of this read, likewise. */
  readonly review?: string;
};

/** Why a service gave no usable answer, as results, metrics and the log name it. */
export type Reason = "access_refused" | "api_off" | "bad_answer" | "blocked" | "day_quota" | "down" | "key_refused" | "not_found" | "rate_quota" | "request_refused" | "timeout";

/** One item: `result` if it was done, `error` if it failed. */
export type ResultItem = {
  /** Its place in the input, from 0. */
  readonly index: number;
  /** Whether it was done. */
  readonly ok: boolean;
  /** What a person knows it by. */
  readonly title?: string;
  /** Its place in the input of the job that this one is a retry of. */
  readonly sourceIndex?: number;
  /** What the pipeline made of it. */
  readonly result?: ImportedBook | PhotoResult | EnrichedBook;
  /** Why it failed. */
  readonly error?: ItemError;
};

/** Some results, in the order of the input. */
export type ResultPage = {
  /** The page; while the job runs it stops before the first item not yet recorded. */
  readonly items: ReadonlyArray<ResultItem>;
  /** The cursor of the next page; null only once the job has ended and there is no more. */
  readonly next: string | null;
  /** The number of items that match so far. */
  readonly total: number;
};

/** A book found on a photo. Coordinates are in pixels of the photo in its full size, turned as its EXIF says. */
export type ScannedBook = {
  /** As printed, or as a catalogue has it that is sure of title and authors. */
  readonly title: string;
  /** Their names, likewise; may be empty. */
  readonly authors: ReadonlyArray<string>;
  /** How certain the reading is, from 0 to 1. */
  readonly confidence: number;
  /** Whether a person should check it; false only if title and authors were confirmed. */
  readonly review: boolean;
  /** The photo's place among those of the job, from 0. */
  readonly photo: number;
  /** The outline on the photo: corners [x, y]; empty if it is unknown. */
  readonly polygon: ReadonlyArray<readonly [number, number]>;
  /** All that was read on it. */
  readonly text: string;
  /** Its ISBN-13 without hyphens, if a catalogue confirmed it. */
  readonly isbn13?: string;
  /** What was read, if a catalogue or provider corrected it. */
  readonly readAs?: TitleAndAuthors;
  /** What a catalogue proposes without being sure. */
  readonly candidate?: ProposedBook;
  /** What the providers of book data know of it, if the job enriches. */
  readonly enriched?: EnrichedBook;
  /** Why it was not enriched. */
  readonly enrichmentError?: EnrichmentError;
  /** All places where it stands; only in the results of the whole job. */
  readonly places?: ReadonlyArray<BookPlace>;
};

/** The state of a job. With `lastUpdateTime` as their timestamp, its messages can be made of it exactly. */
export type State = {
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Its status. */
  readonly status: "canceled" | "canceling" | "complete" | "failed" | "paused" | "queued" | "running";
  /** Items in the input; 0 until it is known. */
  readonly totalCount: number;
  /** Items recorded, done or failed. */
  readonly processedCount: number;
  /** Items that were done. */
  readonly successCount: number;
  /** Items that failed. */
  readonly failureCount: number;
  /** When it last changed, in milliseconds since the epoch. */
  readonly lastUpdateTime: number;
  /** Its revision. */
  readonly seq: number;
  /** Number of times a worker has claimed it. */
  readonly attempt: number;
  /** When it is erased unless it makes progress, in milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Its routes. */
  readonly links: Links;
  /** Title of the item recorded last. */
  readonly currentTitle?: string;
  /** More about the item recorded last. */
  readonly currentItem?: CurrentItem;
  /** A message for the user, beside the counts. */
  readonly userMessage?: string;
  /** While it waits, the number of jobs before it; 1000 for more. */
  readonly queuePosition?: number;
  /** True while a requested pause is not confirmed yet. */
  readonly pausing?: boolean;
  /** True while it runs and has recorded nothing for long. */
  readonly stalled?: boolean;
  /** Seconds that are left, from the measured rate. */
  readonly etaSeconds?: number;
  /** When the number of items was known, in milliseconds since the epoch. */
  readonly startTime?: number;
  /** What it works on. */
  readonly metadata?: Metadata;
  /** The job whose failed and unrecorded items it retries. */
  readonly retryOf?: string;
  /** A sentence for the user about the outcome. */
  readonly summary?: string;
  /** Seconds from the start to the end, once it has ended. */
  readonly duration?: number;
  /** Why it failed or was canceled. */
  readonly error?: JobError;
  /** What the pipeline made of the items, once it is complete. */
  readonly results?: unknown;
  /** Where all results are, if not all are here. */
  readonly resultsUrl?: string;
  /** True if `results` holds only the first of them. */
  readonly truncated?: boolean;
};

/** A client's request for the current state. */
export type SyncRequest = {
  /** Attempts that its return took, for statistics. */
  readonly tries?: number;
};

/** A client's request for the current state. */
export type SyncRequestMessage = {
  /** The type of the message, which determines its payload. */
  readonly type: "sync_request";
  /** The job. */
  readonly jobId: string;
  /** The pipeline that runs it. */
  readonly pipeline: string;
  /** Server time, in milliseconds since the epoch. */
  readonly timestamp: number;
  /** Version of the wire contract. */
  readonly version: "1.0.0";
  readonly payload: SyncRequest;
  /** The job's revision that the message shows; absent on `pong` and on messages from clients. */
  readonly seq?: number;
};

/** A title and its authors. */
export type TitleAndAuthors = {
  /** The title. */
  readonly title: string;
  /** Their names; may be empty. */
  readonly authors: ReadonlyArray<string>;
};

/** A column that holds something, and of which nothing was imported. */
export type UnusedColumn = {
  /** Its name in the header, or its number if it has none. */
  readonly column: string;
  /** The first cell in it that is not empty, shortened. */
  readonly example: string;
};

/** How a record was found. */
export type Way = "isbn" | "title";

export type Message = JobStartedMessage | JobProgressMessage | JobCompleteMessage | JobErrorMessage | PingMessage | PongMessage | SyncRequestMessage;
