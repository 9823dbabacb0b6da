import type { PhotoResult, ResultItem, ScannedBook } from "@shelfwire/client";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Alert, Button, Empty, Field, percent } from "../parts/index.js";
import { reader } from "../strings/en.js";
import { type Corrections, corrected, useCorrections } from "./corrections.js";
import { Download } from "./download.js";
import { fresh, type KeptJob, sentFiles } from "./kept.js";
import type { Rows } from "./rows.js";
import { client, explained } from "./server.js";

const text = reader.photo;
/** Pixels; as wide as the page shows a photo on a dense screen. */
const PHOTO_WIDTH = 1600;
/** Below this a person should look; without a catalogue every book asks for it. */
const SURE = 0.95;
const GHOSTS = [70, 55, 80, 62];
/** Colours that are told apart on any photo, above a dark casing. */
const HUES = ["#ff5d73", "#41d17d", "#ffd23f", "#6c9bff", "#ff9b42", "#c38bff", "#3fe0e8", "#ff7be5"];
/** Of the circle with a book's number, in hundredths of the photo's longer side. */
const RADIUS = 2.1;
const hueOf = (place: number): string => HUES[place % HUES.length]!;

/** Only photos that were read have a width. */
const resultOf = (item: ResultItem | undefined): PhotoResult | undefined => (item?.ok ? (item.result as PhotoResult) : undefined);

export interface PhotosProps {
  readonly job: KeptJob;
  readonly good: Rows;
  readonly bad: Rows;
  /** How many photos there are, once known. */
  readonly total: number | undefined;
  readonly ended: boolean;
}

/** Each photo of a job with the books that were found on it. */
export function Photos({ job, good, bad, total, ended }: PhotosProps) {
  const corrections = useCorrections(job, ended);
  const files = sentFiles.get(job.jobId);
  const amount = total ?? files?.length ?? 1;
  const found = new Map([...good.items, ...bad.items].map((item) => [item.index, item]));
  const error = good.error ?? corrections.error;
  return (
    <section class="photos" aria-label={text.label}>
      {error !== undefined && (
        <Alert>
          <p>{explained(error)}</p>
        </Alert>
      )}
      {ended && good.items.length > 0 && (
        <div class="tools">
          <Download job={job} />
        </div>
      )}
      {Array.from({ length: amount }, (_, place) => (
        <Photo key={place} job={job} place={place} item={found.get(place)} heading={amount > 1} ended={ended} corrections={corrections} />
      ))}
    </section>
  );
}

interface PhotoProps {
  readonly job: KeptJob;
  readonly place: number;
  readonly item: ResultItem | undefined;
  readonly heading: boolean;
  readonly ended: boolean;
  readonly corrections: Corrections;
}

function Photo({ job, place, item, heading, ended, corrections }: PhotoProps) {
  const [url, onBroken] = usePhoto(job, place, item !== undefined || ended);
  const result = resultOf(item);
  const name = sentFiles.get(job.jobId)?.[place]?.name ?? item?.title;
  const reading = !item && !ended;
  return (
    <article class={`photo${reading ? " reading" : ""}`}>
      {heading && (
        <h2>
          <bdi>{name ?? text.numbered(place + 1)}</bdi>
        </h2>
      )}
      {result ? (
        <Read photo={result} place={place} url={url} onBroken={onBroken} ended={ended} editable={ended && !job.watching} corrections={corrections} />
      ) : (
        <>
          {(url !== undefined || reading) && <div class="plate">{url === undefined ? <div class="blank" /> : <img src={url} alt={text.readingAlt} onError={onBroken} />}</div>}
          {item?.error ? (
            <Alert>
              <p>
                <bdi>{item.error.userMessage}</bdi>
              </p>
            </Alert>
          ) : reading ? (
            <div class="list">
              <p class="found">{text.reading}</p>
              <ol aria-hidden="true">
                {GHOSTS.map((width) => (
                  <li key={width}>
                    <span class="no ghost" />
                    <span class="ghost" style={{ width: `${width}%` }} />
                  </li>
                ))}
              </ol>
            </div>
          ) : (
            <Empty>{text.noPhoto}</Empty>
          )}
        </>
      )}
    </article>
  );
}

/** The address of a photo: of the file that was sent in this visit, or of what the server has once it has read it. */
function usePhoto(job: KeptJob, place: number, read: boolean): [url: string | undefined, onBroken: () => void] {
  const file = sentFiles.get(job.jobId)?.[place];
  const [broken, setBroken] = useState(false); // such as HEIC, which most browsers do not show
  const [url, setUrl] = useState<string>();
  const own = file !== undefined && !broken;
  const ready = own || read;
  useEffect(() => {
    if (!ready) return;
    const over = new AbortController();
    let made: string | undefined;
    const show = (photo: Blob): void => {
      if (!over.signal.aborted) setUrl((made = URL.createObjectURL(photo)));
    };
    if (own) show(file);
    else client.photo(fresh(job), place, { width: PHOTO_WIDTH, signal: over.signal }).then(show, () => {});
    return () => {
      over.abort();
      if (made !== undefined) URL.revokeObjectURL(made);
      setUrl(undefined);
    };
  }, [job.jobId, place, own, ready]);
  return [url, () => setBroken(true)];
}

interface Lit {
  readonly book: number;
  readonly on: "photo" | "list";
}

interface ReadProps {
  readonly photo: PhotoResult;
  readonly place: number;
  readonly url: string | undefined;
  readonly onBroken: () => void;
  readonly ended: boolean;
  readonly editable: boolean;
  readonly corrections: Corrections;
}

function Read({ photo, place, url, onBroken, editable, corrections }: ReadProps) {
  const [lit, light] = useState<Lit>();
  const [editing, edit] = useState<number>();
  const list = useRef<HTMLOListElement>(null);
  const { books, width, height } = photo;
  const left = books.filter((_, book) => !corrections.of(place, book)?.struck).length;
  useEffect(() => {
    if (lit?.on === "photo") list.current?.children[lit.book]?.scrollIntoView({ block: "nearest" });
  }, [lit]);
  return (
    <>
      <div class={`plate${lit ? " dim" : ""}`} style={{ aspectRatio: `${width} / ${height}`, maxWidth: `calc(82vh * ${width / height})` }}>
        {url !== undefined && <img src={url} alt="" onError={onBroken} />}
        <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={text.outlined(left)}>
          {books.map((book, at) => (
            <Outline
              key={at}
              book={book}
              place={at}
              unit={Math.max(width, height) / 100}
              lit={lit?.book === at}
              struck={!!corrections.of(place, at)?.struck}
              onLight={(on) => light(on ? { book: at, on: "photo" } : undefined)}
            />
          ))}
        </svg>
      </div>
      <div class="list">
        <p class="found" role="status">
          {text.onThis(left)}
        </p>
        <ol ref={list}>
          {books.map((book, at) => (
            <Spine
              key={at}
              book={book}
              at={at}
              place={place}
              lit={lit?.book === at}
              editing={editing === at}
              editable={editable}
              corrections={corrections}
              onLight={(on) => light(on ? { book: at, on: "list" } : undefined)}
              onEdit={(on) => edit(on ? at : undefined)}
            />
          ))}
        </ol>
      </div>
    </>
  );
}

interface OutlineProps {
  readonly book: ScannedBook;
  readonly place: number;
  /** A hundredth of the photo's longer side. */
  readonly unit: number;
  readonly lit: boolean;
  readonly struck: boolean;
  readonly onLight: (on: boolean) => void;
}

function Outline({ book, place, unit, lit, struck, onLight }: OutlineProps) {
  if (book.polygon.length === 0) return null;
  const points = book.polygon.map((corner) => corner.join(",")).join(" ");
  const [xs, ys] = [0, 1].map((axis) => book.polygon.map((corner) => corner[axis]!)) as [number[], number[]];
  const middle = xs.reduce((sum, x) => sum + x, 0) / xs.length;
  const top = Math.max(unit * RADIUS * 1.2, Math.min(...ys) - unit * RADIUS * 0.8); // above the spine, beside its text
  const hue = hueOf(place);
  return (
    <g class={`spine${lit ? " lit" : ""}${struck ? " struck" : ""}`} onPointerEnter={() => onLight(true)} onPointerLeave={() => onLight(false)} onClick={() => onLight(true)}>
      <polygon class="casing" points={points} style={{ strokeWidth: unit * 0.75 }} />
      <polygon class="edge" points={points} style={{ stroke: hue, fill: hue, strokeWidth: unit * 0.4 }} />
      <circle class="casing" cx={middle} cy={top} r={unit * RADIUS} style={{ strokeWidth: unit * 0.35 }} />
      <circle cx={middle} cy={top} r={unit * RADIUS} style={{ fill: hue }} />
      <text x={middle} y={top} dy=".36em" style={{ fontSize: `${unit * 2.4}px` }}>
        {place + 1}
      </text>
    </g>
  );
}

interface SpineProps {
  readonly book: ScannedBook;
  readonly at: number;
  readonly place: number;
  readonly lit: boolean;
  readonly editing: boolean;
  readonly editable: boolean;
  readonly corrections: Corrections;
  readonly onLight: (on: boolean) => void;
  readonly onEdit: (on: boolean) => void;
}

function Spine({ book, at, place, lit, editing, editable, corrections, onLight, onEdit }: SpineProps) {
  const correction = corrections.of(place, at);
  const { title, authors } = corrected(book, correction);
  const name = title || text.untitled;
  const struck = !!correction?.struck;
  const notes = struck
    ? text.struck
    : correction
      ? text.corrected
      : [text.sure(percent(book.confidence)), ...(book.review && book.confidence < SURE ? [text.check] : [])].join(" · ");
  return (
    <li
      class={`${lit ? "lit" : ""}${struck ? " struck" : ""}`}
      onPointerEnter={() => onLight(true)}
      onPointerLeave={() => onLight(false)}
      onFocusIn={() => onLight(true)}
      onFocusOut={() => onLight(false)}
    >
      <span class="no" style={{ background: hueOf(at) }}>
        {at + 1}
      </span>
      {editing ? (
        <Edit
          title={title}
          authors={authors}
          onKeep={(change) => {
            onEdit(false);
            void corrections.put(place, at, change);
          }}
          onLeave={() => onEdit(false)}
        />
      ) : (
        <>
          <div class="what">
            <b>
              <bdi>{name}</bdi>
            </b>
            {authors.length > 0 && (
              <span>
                <bdi>{authors.join(", ")}</bdi>
              </span>
            )}
            <small>{notes}</small>
          </div>
          {editable && (
            <span class="acts">
              {!struck && <Button kind="quiet" icon="pen" label={text.correct(name)} onClick={() => onEdit(true)} />}
              <Button
                kind="quiet"
                icon={struck ? "undo" : "cross"}
                label={struck ? text.unstrike(name) : text.strike(name)}
                onClick={() => corrections.put(place, at, struck ? undefined : { struck: true })}
              />
            </span>
          )}
        </>
      )}
    </li>
  );
}

interface EditProps {
  readonly title: string;
  readonly authors: readonly string[];
  readonly onKeep: (change: { title: string; authors: readonly string[] }) => void;
  readonly onLeave: () => void;
}

function Edit({ title, authors, onKeep, onLeave }: EditProps) {
  const id = useId();
  const [newTitle, setTitle] = useState(title);
  const [newAuthors, setAuthors] = useState(authors.join("; "));
  const keep = (event: Event): void => {
    event.preventDefault();
    const names = newAuthors.split(";").map((name) => name.trim());
    onKeep({ title: newTitle.trim(), authors: names.filter(Boolean) });
  };
  return (
    <form class="edit" id={id} onSubmit={keep} onKeyDown={(event) => event.key === "Escape" && onLeave()}>
      <Field label={text.title} value={newTitle} focus onInput={setTitle} />
      <Field label={text.authors} value={newAuthors} onInput={setAuthors} />
      <div class="choose">
        <Button kind="main" submit disabled={newTitle.trim() === ""}>
          {text.keep}
        </Button>
        <Button onClick={onLeave}>{text.leave}</Button>
      </div>
    </form>
  );
}
