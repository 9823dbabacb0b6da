/* The operator's page. */
import { Http } from "@shelfwire/client/http";
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { Alert, Button, Chip, Top, duration, number } from "../parts/index.js";
import { live as words, places, session as texts } from "../strings/admin.en.js";
import { type Place, fragmentOf, placeOf } from "./address.js";
import { AuditScreen } from "./audit.js";
import { problemsIn } from "./figures.js";
import { JobScreen } from "./job.js";
import { JobsScreen } from "./jobs.js";
import { KeyForm, reasonOf } from "./key_form.js";
import { Live } from "./live.js";
import { OverviewScreen } from "./overview.js";
import { type Session, forgetKey, isKeyRefused, keptKey, open, openWithCode, takeCode } from "./session.js";
import { Bones, Server, ServerContext, useLive, useNow } from "./shared.js";
import { WebhooksScreen } from "./webhooks.js";

/** How long the stream may be lost before the page says so in a sentence. */
const LOST_MS = 5_000;

const http = new Http("", (input, init) => fetch(input, init));

function Page({ code }: { code: string | undefined }) {
  const [session, enter] = useState<Session | undefined>(undefined);
  const [reason, say] = useState<string | undefined>(undefined);
  const [opening, begin] = useState(code !== undefined || keptKey() !== null);
  useEffect(() => {
    if (!opening) return;
    const key = keptKey();
    (code ? openWithCode(http, code) : open(http, key ?? "")).then(enter, (error: unknown) => {
      if (isKeyRefused(error) || code) forgetKey();
      say(code ? texts.codeUsed : reasonOf(error, http.url));
      begin(false);
    });
  }, []);
  const leave = (why?: string): void => {
    forgetKey();
    say(why);
    begin(false);
    enter(undefined);
  };
  if (session) return <Opened key={session.key} session={session} onLeave={leave} />;
  if (opening) {
    return (
      <>
        <Top />
        <main class="page">
          <Bones rows={3} height={120} />
        </main>
      </>
    );
  }
  return <KeyForm http={http} reason={reason} onOpen={enter} />;
}

function Opened({ session, onLeave }: { session: Session; onLeave: (why?: string) => void }) {
  const [place, go] = useState(() => placeOf(location.hash));
  const server = useMemo(() => new Server(http, session, new Live(http, session.key), () => onLeave(texts.ended)), [session]);
  useEffect(() => {
    const onHashChange = (): void => {
      const next = placeOf(location.hash);
      go((before) => {
        if (before.screen !== next.screen) scrollTo(0, 0);
        return next;
      });
    };
    const onVisible = (): void => {
      if (document.visibilityState === "visible") server.live.retry();
    };
    onHashChange(); // it may have changed before this effect
    addEventListener("hashchange", onHashChange);
    addEventListener("online", onVisible);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      removeEventListener("hashchange", onHashChange);
      removeEventListener("online", onVisible);
      document.removeEventListener("visibilitychange", onVisible);
      server.live.close();
    };
  }, [server]);
  return (
    <ServerContext.Provider value={server}>
      <Header place={place} session={session} onLeave={onLeave} />
      <main class="page">
        <Lost onRefused={onLeave} />
        <Screen place={place} />
      </main>
    </ServerContext.Provider>
  );
}

function Screen({ place }: { place: Place }) {
  switch (place.screen) {
    case "overview":
      return <OverviewScreen window={place.window} />;
    case "jobs":
      return <JobsScreen view={place} />;
    case "job":
      return <JobScreen key={place.id} id={place.id} />;
    case "webhooks":
      return <WebhooksScreen status={place.status} cursor={place.cursor} />;
    case "audit":
      return <AuditScreen job={place.job} by={place.key} cursor={place.cursor} />;
  }
}

const LINKS: ReadonlyArray<readonly [keyof typeof places, Place]> = [
  ["overview", { screen: "overview", window: "15m" }],
  ["jobs", { screen: "jobs", status: [], oldest: false }],
  ["webhooks", { screen: "webhooks" }],
  ["audit", { screen: "audit" }],
];

function Header({ place, session, onLeave }: { place: Place; session: Session; onLeave: () => void }) {
  const { overview } = useLive();
  const wrong = overview ? problemsIn(overview).length : 0;
  const here = place.screen === "job" ? "jobs" : place.screen;
  useEffect(() => {
    document.title = `${wrong ? `(${number(wrong)}) ` : ""}${places[here]} · shelfwire`;
  }, [wrong, here]);
  return (
    <Top>
      <nav class="places" aria-label={texts.title}>
        {LINKS.map(([screen, to]) => (
          <a key={screen} href={fragmentOf(to)} aria-current={screen === here ? "page" : undefined}>
            {places[screen]}
            {screen === "overview" && wrong > 0 && <b>{number(wrong)}</b>}
          </a>
        ))}
      </nav>
      <div class="who">
        <Connection />
        <span class="fine name" title={session.role}>
          <bdi>{session.name}</bdi>
        </span>
        <Button kind="quiet" onClick={() => onLeave()}>
          {texts.signOut}
        </Button>
      </div>
    </Top>
  );
}

function Connection() {
  const { connection, overview, heardAt } = useLive();
  useNow();
  if (connection === "live") {
    return (
      <Chip tone="good" beat>
        {words.live}
        <span class="via"> · {words.nodes(overview?.nodes.length ?? 0)}</span>
      </Chip>
    );
  }
  if (connection === "connecting") return <Chip tone="plain">{words.connecting}</Chip>;
  return <Chip tone="bad">{heardAt ? words.lost(duration((Date.now() - heardAt) / 1000)) : words.connecting}</Chip>;
}

/** Says how old what is shown is, once the stream has been lost for a while. */
function Lost({ onRefused }: { onRefused: (why: string) => void }) {
  const { connection, heardAt, refused } = useLive();
  useNow();
  useEffect(() => {
    if (refused) onRefused(reasonOf(refused, http.url));
  }, [refused]);
  const age = Date.now() - heardAt;
  if (connection !== "lost" || age < LOST_MS) return null;
  return (
    <Alert kind="warn">
      <p>{heardAt ? words.lostLong(duration(age / 1000)) : words.never}</p>
    </Alert>
  );
}

render(<Page code={takeCode()} />, document.getElementById("app")!);
