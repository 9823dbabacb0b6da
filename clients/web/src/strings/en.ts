// Every text of the pages, by place or by error code. A server's own text is shown for codes that are not here, and where it
// says more than a code does.
import { type Nouns, bytes, count, duration, number } from "../parts/format.js";

const ROWS: Nouns = { one: "row", other: "rows" };
const PHOTOS: Nouns = { one: "photo", other: "photos" };
const BOOKS: Nouns = { one: "book", other: "books" };
const ITEMS: Nouns = { one: "item", other: "items" };

/** What a pipeline's jobs, items and outcomes are called. */
export interface Kind {
  readonly job: string;
  readonly items: Nouns;
  readonly good: string;
  readonly bad: string;
}

/** What both pages say. */
export const both = {
  kinds: {
    csv_import: { job: "Book list", items: ROWS, good: "Imported", bad: "Not imported" },
    ai_scan: { job: "Bookshelf", items: PHOTOS, good: "Read", bad: "Not read" },
    batch_enrichment: { job: "Lookup", items: BOOKS, good: "Found", bad: "Not found" },
  } as Readonly<Record<string, Kind>>,
  otherKind: { job: "Job", items: ITEMS, good: "Done", bad: "Failed" } satisfies Kind,
};

/** What the reader's page says. */
export const reader = {
  title: "shelfwire",
  errors: {
    E_UNAUTHORIZED: "The key to this job does not fit any more: it has expired, or the job was deleted.",
    E_TOKEN_EXPIRED: "The key to this job has expired.",
    E_NOT_FOUND: "The server does not have this job any more.",
    E_FILE_TOO_LARGE: "This is more than the server takes at once. Split it, and send the parts one by one.",
    E_MAX_RETRIES: "The server cannot be reached. Nothing was started twice; try again when you are online.",
    E_OVERLOADED: "The server is very busy. Try again in a moment.",
    E_RATE_LIMITED: "That was a little too often. Try again in a minute.",
    E_INTERNAL: "Something went wrong on the server. Try again.",
    E_JOB_CANCELED: "You canceled this. What was done until then is kept.",
  } as Readonly<Record<string, string>>,

  start: {
    heading: "Bring your books along",
    lead: "A list that another app exported, or photos of your shelves. What is imported, what is not, and why: you will see every row.",
    drop: "Drop a book list or photos here",
    dropNow: "Let go to send",
    list: "Choose a list",
    photos: "Choose photos",
    limits: "CSV, TSV, Excel, OpenDocument or ZIP · up to 20 photos, 20 MB each",
    reads: "Reads the exports of Goodreads, StoryGraph, LibraryThing, Calibre, Libib, BookBuddy, Hardcover, Open Library, BookWyrm and others, and lists you made yourself.",
    sending: (name: string) => `Sending ${name}…`,
    sent: "Sent",
    sentShare: (share: string) => `${share} sent`,
    received: "All is sent; the server takes it in…",
    cancel: "Cancel",
    again: "Send it again",
    other: "Choose another",
    kept: (name: string) => `${name} is kept here.`,
    mixed: "Send a list or photos, not both at once.",
    oneList: "Send one list at a time.",
    manyPhotos: "Send up to 20 photos at a time.",
    emptyFile: (name: string) => `${name} is empty.`,
    key: "This server asks for a key before it takes anything. Its operator has it.",
    wrongKey: "This key does not fit.",
    keyLabel: "API key",
    keyNote: "The key is kept in this tab only, and forgotten with it.",
    earlier: "Earlier in this browser",
    earlierNote: "The keys to these jobs are kept in this browser and nowhere else.",
    forget: (name: string) => `Forget ${name}`,
    forgetAll: "Forget all",
    photosName: (first: string, more: number) => (more ? `${first} and ${number(more)} more` : first),
  },

  link: {
    connecting: "Connecting…",
    live: "Live",
    waiting: "Reconnecting…",
    offline: "Offline",
    lost: "Connection lost",
    via: { websocket: "WebSocket", sse: "event stream", polling: "polling" } as Readonly<Record<string, string>>,
  },

  job: {
    progress: "Progress",
    progressOf: (name: string) => `Progress of ${name}`,
    size: bytes,
    items: (amount: number, nouns: Nouns) => count(amount, nouns),
    done: "Done",
    of: (total: string) => `of ${total}`,
    rate: "Rate",
    perSecond: (nouns: Nouns) => `${nouns.other}/s`,
    left: "Time left",
    unknown: "—",
    spoken: (share: string, done: string, total: string) => `${share}, ${done} of ${total}`,
    starting: "Starting",
    pause: "Pause",
    resume: "Resume",
    cancel: "Cancel",
    cancelAsk: "Stop it for good? What is done so far is kept.",
    cancelYes: "Stop it",
    cancelNo: "Go on",
    canceling: "Stopping…",
    waiting: "Waiting to start…",
    queued: (before: number) => (before === 0 ? "Waiting to start. It is the next one." : `Waiting to start, with ${count(before, { one: "job", other: "jobs" })} before it.`),
    running: "Starting…",
    paused: "Paused. It stays so until you resume it, over restarts of the server too.",
    reconnecting: (seconds: number) => (seconds > 0 ? `The connection was lost. Trying again in ${duration(seconds)}; the job goes on without you.` : "The connection was lost. Trying again now; the job goes on without you."),
    offline: "You are offline. The job goes on there, and this page catches up when you are back.",
    lost: "The server has not answered for a minute. The job goes on there.",
    connect: "Connect again",
    notify: "Tell me when it is done",
    notifying: "You will be told when it is done",
    share: "Copy a link to watch",
    shared: "The link is copied. Whoever has it can watch, and nothing else.",
    tabs: "Rows",
    books: "Books",
    took: (seconds: number) => (seconds < 1 ? "It took less than a second." : `It took ${duration(seconds)}.`),
    imported: (amount: number) => [number(amount), amount === 1 ? " book is in your library now" : " books are in your library now"] as const,
    notImported: (amount: number) => [number(amount), amount === 1 ? " row was not imported" : " rows were not imported"] as const,
    found: (amount: number) => [number(amount), amount === 1 ? " book was found" : " books were found"] as const,
    notFound: (amount: number) => [number(amount), amount === 1 ? " was not" : " were not"] as const,
    read: (books: number) => [number(books), books === 1 ? " book was read" : " books were read"] as const,
    onPhotos: (photos: number) => (photos === 1 ? " on your photo" : ` on ${number(photos)} photos`),
    photosNot: (amount: number) => [number(amount), amount === 1 ? " photo could not be read" : " photos could not be read"] as const,
    itemsDone: (amount: number, nouns: Nouns) => [number(amount), ` ${amount === 1 ? nouns.one : nouns.other} done`] as const,
    itemsFailed: (amount: number) => [number(amount), " failed"] as const,
    before: (done: number, nouns: Nouns) => (done ? `${count(done, nouns)} had been done before that, and ${done === 1 ? "is" : "are"} kept.` : "Nothing had been done before that."),
    rest: "Try the rest",
    again: "Start another",
    finished: "All done",
    failed: "It ended early",
    goneHeading: "This job cannot be opened",
    unknownHeading: "Not in this browser",
    unknownLead: "The key to a job is kept in the browser that started it. Open it there, or ask for a link to watch it.",
    watched: "A shared job",
  },

  books: {
    table: "Books",
    search: "Search the books",
    placeholder: "Title, author or ISBN",
    found: (chosen: number, all: number) => `${number(chosen)} of ${count(all, BOOKS)}`,
    all: (amount: number) => count(amount, BOOKS),
    loading: (amount: string) => `${amount}, loading…`,
    sort: "Sort by",
    by: { row: "By row", title: "By title", author: "By author", isbn: "By ISBN", year: "By year" } as Readonly<Record<string, string>>,
    columns: { row: "Row", title: "Title", author: "Author", isbn: "ISBN", year: "Year" } as Readonly<Record<string, string>>,
    none: "Nothing was imported. The other tab says why.",
    noneYet: "The first books appear here in a moment.",
    noMatch: (query: string) => `No book has “${query}”.`,
    clear: "Clear the search",
    failed: "The rows could not be loaded.",
    retry: "Load them again",
  },

  mend: {
    label: "Rows that were not imported",
    none: "Every row was imported.",
    noneYet: "Nothing has failed so far.",
    loading: "Loading…",
    row: (row: number) => `Row ${number(row)}`,
    empty: "Neither a title nor an ISBN",
    repeats: (row: number) => `Repeats row ${number(row)}`,
    reasons: {
      E_ROW_INVALID: ["Something is missing", "Fill in what is missing here, and try these rows again. The rest of the list stays as it is."],
      E_DUPLICATE: ["The same book twice", "One of each was imported; nothing is left to do unless you meant two copies."],
      E_ENRICHMENT_FAILED: ["Nothing was found", "Check the title, the author and the ISBN, and try these books again."],
      E_PROVIDER_UNAVAILABLE: ["Nobody could be asked", "The services that know books did not answer. Try again later."],
    } as Readonly<Record<string, readonly [string, string]>>,
    otherReason: "Put right what is wrong here, and try these rows again.",
    needed: "needed, or an ISBN",
    fields: { title: "Title", author: "Author", isbn: "ISBN" },
    more: (amount: number) => `Show ${number(amount)} more`,
    mended: (amount: number) => `${count(amount, ROWS)} mended`,
    again: "Try again",
    trying: (amount: number) => `Trying ${count(amount, ROWS)}…`,
    succeeded: (amount: number) => `${count(amount, ROWS)} ${amount === 1 ? "is" : "are"} in your library now.`,
    stillNot: (amount: number) => `${count(amount, ROWS)} still ${amount === 1 ? "is" : "are"} not; the reason stands beside ${amount === 1 ? "it" : "them"}.`,
  },

  photo: {
    label: "Books on the photos",
    reading: "Reading the spines…",
    readingAlt: "The photo that is being read",
    outlined: (amount: number) => `The photo, with ${count(amount, BOOKS)} outlined`,
    onThis: (amount: number) => `${count(amount, BOOKS)} on this photo`,
    numbered: (place: number) => `Photo ${number(place)}`,
    sure: (share: string) => `${share} sure`,
    check: "please check",
    corrected: "corrected by you",
    struck: "not counted",
    untitled: "Without a title",
    correct: (title: string) => `Correct ${title}`,
    strike: (title: string) => `${title} is no book`,
    unstrike: (title: string) => `${title} is a book after all`,
    title: "Title",
    authors: "Authors, separated by semicolons",
    keep: "Keep",
    leave: "Leave it",
    later: "The spines appear here as they are read.",
    noPhoto: "The photo cannot be shown.",
  },

  download: {
    button: "Download",
    csv: ["CSV", "for a spreadsheet"],
    json: ["JSON", "everything, for programs"],
    goodreads: ["Goodreads CSV", "for Goodreads and what imports from it"],
    preparing: "Preparing the file…",
  },
};

/** What the operator's page says. */
export const admin = {};
