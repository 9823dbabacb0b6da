// What a page learns of its device's network, and of being looked at.

export interface Network {
  /** Whether the device says that it has a network. */
  online(): boolean;
  /** Whether somebody may be looking at the page. */
  visible(): boolean;
  /** Calls `act` at each event, until the returned function is called. */
  on(event: NetworkEvent, act: () => void): () => void;
}

/** `shown`: the page is looked at again. `frozen`, `thawed`: the browser keeps the page aside, and brings it back. */
export type NetworkEvent = "offline" | "online" | "shown" | "frozen" | "thawed";

/** The network of the page that this runs in; undefined outside of one. */
export function pageNetwork(): Network | undefined {
  const { document, navigator } = globalThis;
  if (document === undefined) return undefined;
  const listen = (target: EventTarget, name: string, act: (event: Event) => void): (() => void) => {
    target.addEventListener(name, act);
    return () => target.removeEventListener(name, act);
  };
  const kept = (act: () => void) => (event: Event) => (event as PageTransitionEvent).persisted && act();
  const visible = (): boolean => document.visibilityState !== "hidden";
  return {
    online: () => navigator.onLine !== false,
    visible,
    on(event, act) {
      if (event === "shown") return listen(document, "visibilitychange", () => visible() && act());
      if (event === "frozen") return listen(globalThis, "pagehide", kept(act));
      if (event === "thawed") return listen(globalThis, "pageshow", kept(act));
      return listen(globalThis, event, act);
    },
  };
}
