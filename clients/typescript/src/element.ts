// <shelfwire-progress>: the progress of a job, for pages without a framework.
import { Client, type JobHandle } from "./client.js";
import { type JobSnapshot, JobView, NOTHING } from "./view.js";

const STYLE = `
:host { display: block; font: inherit; color: var(--shelfwire-ink, inherit); }
[part=bar] { height: .5em; border-radius: .25em; overflow: hidden; background: var(--shelfwire-track, #8884); }
[part=fill] { height: 100%; width: 0; background: var(--shelfwire-fill, #0f5c4d); }
:host([phase=paused]) [part=fill] { background: var(--shelfwire-paused, #d9a441); }
:host([phase=failed]) [part=fill], :host([phase=canceled]) [part=fill] { background: var(--shelfwire-bad, #a3261c); }
[part=text] { margin-top: .25em; font-variant-numeric: tabular-nums; }
@media (forced-colors: active) { [part=bar] { border: 1px solid; } [part=fill] { background: Highlight; } }
`;
/** A screen reader is told no oftener than at every tenth. */
const TOLD_STEP = 10;

// On a server there are no elements; the module can still be imported.
const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/**
 * Set its property `job`, from a script: an attribute would put the token into the document. Attributes: `server`, the
 * server's address; `label`, what it is the progress of. Parts: `bar`, `fill`, `text`. Events: `progress`, `complete` and
 * `error`, whose `detail` is the snapshot. The attribute `phase` says how the job is, for style sheets.
 */
export class ShelfwireProgress extends Base {
  static readonly observedAttributes = ["label", "server"];
  #job: JobHandle | null = null;
  #client: Client | undefined;
  #view: JobView | undefined;
  #stop: () => void = () => {};
  #shown = NOTHING;
  #told = "";
  #fill!: HTMLElement;
  #text!: HTMLElement;
  #bar!: HTMLElement;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const part = (name: string, parent: Node): HTMLElement => {
      const element = document.createElement("div");
      element.setAttribute("part", name);
      parent.appendChild(element);
      return element;
    };
    this.#bar = part("bar", root);
    this.#fill = part("fill", this.#bar);
    this.#text = part("text", root);
    this.#bar.setAttribute("role", "progressbar");
    this.#bar.setAttribute("aria-valuemin", "0");
    this.#bar.setAttribute("aria-valuemax", "100");
  }

  get job(): JobHandle | null {
    return this.#view?.job ?? this.#job;
  }

  set job(job: JobHandle | null) {
    this.#job = job;
    this.#restart();
  }

  /** The client to follow with; by default one for the attribute `server`, or for the page's own server. */
  get client(): Client {
    return (this.#client ??= new Client({ url: this.getAttribute("server") ?? undefined }));
  }

  set client(client: Client) {
    this.#client = client;
    this.#restart();
  }

  connectedCallback(): void {
    this.#restart();
  }

  disconnectedCallback(): void {
    this.#restart();
  }

  attributeChangedCallback(name: string): void {
    if (name === "label") {
      this.#bar.setAttribute("aria-label", this.getAttribute("label") ?? "");
    } else {
      this.#client = undefined;
      this.#restart();
    }
  }

  #restart(): void {
    this.#stop();
    this.#view = undefined;
    this.#stop = () => {};
    this.#show(NOTHING);
    if (!this.#job || !this.isConnected) return;
    const view = (this.#view = new JobView(this.client, this.#job));
    this.#stop = view.subscribe(() => {
      if (view !== this.#view) return;
      const before = this.#shown;
      this.#show(view.snapshot);
      this.#tell(before, view.snapshot);
    });
    this.#show(view.snapshot);
  }

  #show(snapshot: JobSnapshot): void {
    this.#shown = snapshot;
    const { phase, processed, total } = snapshot;
    const share = phase === "complete" ? 1 : total ? Math.min(1, processed / total) : 0;
    const percent = Math.floor(share * 100);
    const counts = total === undefined ? "" : `${processed.toLocaleString()} / ${total.toLocaleString()}`;
    const text = [counts, snapshot.error?.userMessage ?? snapshot.userMessage].filter(Boolean).join(" · ");
    this.setAttribute("phase", phase);
    this.#fill.style.width = `${share * 100}%`;
    this.#text.textContent = text;
    const told = `${phase} ${Math.floor(percent / TOLD_STEP)}`;
    if (told === this.#told) return;
    this.#told = told;
    this.#bar.setAttribute("aria-valuenow", String(percent));
    this.#bar.setAttribute("aria-valuetext", text || phase);
  }

  #tell(before: JobSnapshot, detail: JobSnapshot): void {
    const tell = (name: string): unknown => this.dispatchEvent(new CustomEvent(name, { detail }));
    if (detail.processed !== before.processed || detail.phase !== before.phase) tell("progress");
    if (detail.ending && !before.ending) tell(detail.phase === "complete" ? "complete" : "error");
    if (detail.error && !before.error) tell("error");
  }
}

if (globalThis.customElements && !customElements.get("shelfwire-progress")) {
  customElements.define("shelfwire-progress", ShelfwireProgress);
}
