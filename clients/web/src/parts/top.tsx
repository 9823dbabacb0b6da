import type { ComponentChildren } from "preact";

/** The line on top of every page: the name, which leads to `home`, and what the page says there. */
export function Top({ home = "#/", children }: { home?: string; children?: ComponentChildren }) {
  return (
    <header class="top">
      <a class="mark" href={home}>
        <svg width="22" height="22" viewBox="0 0 24 24" aria-hidden="true">
          <path class="mark-a" d="M3 3h4v17H3z" />
          <path class="mark-b" d="M8.5 6h3.5v14H8.5z" />
          <path class="mark-c" d="m14 5.2 3.7-1 4.1 15-3.7 1z" />
        </svg>
        <span>shelfwire</span>
      </a>
      {children}
    </header>
  );
}
