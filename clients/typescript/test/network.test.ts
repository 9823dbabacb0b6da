import assert from "node:assert/strict";
import { test } from "node:test";
import { Window } from "happy-dom";
import { storedTokens } from "../src/client.js";
import { pageNetwork } from "../src/network.js";

test("outside of a page there is no network to watch", () => assert.equal(pageNetwork(), undefined));

test("a page's events are those of its network, until they are no longer listened to", () => {
  const target = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const names = ["addEventListener", "removeEventListener"] as const;
  for (const name of names) Object.assign(globalThis, { [name]: target[name].bind(target) });
  Object.assign(globalThis, { document });
  const network = pageNetwork()!;
  const heard: string[] = [];
  const offs = (["offline", "online", "shown", "frozen", "thawed"] as const).map((name) => network.on(name, () => heard.push(name)));
  const fire = (): void => {
    for (const name of ["offline", "online"]) target.dispatchEvent(new Event(name));
    for (const name of ["pagehide", "pageshow"]) {
      for (const persisted of [false, true]) target.dispatchEvent(Object.assign(new Event(name), { persisted }));
    }
    for (const visibilityState of ["hidden", "visible"]) {
      Object.assign(document, { visibilityState }).dispatchEvent(new Event("visibilitychange"));
      assert.equal(network.visible(), visibilityState === "visible");
    }
  };
  fire();
  assert.deepEqual(heard, ["offline", "online", "frozen", "thawed", "shown"]);
  for (const off of offs) off();
  fire();
  assert.equal(heard.length, 5);
  for (const name of [...names, "document"]) Reflect.deleteProperty(globalThis, name);
});

test("tokens in a storage are read back, and other tabs hear of them", async () => {
  const window = new Window({ url: "http://server.test" });
  const { localStorage } = window;
  Object.assign(globalThis, { addEventListener: window.addEventListener.bind(window), removeEventListener: window.removeEventListener.bind(window) });
  const store = storedTokens(localStorage as unknown as Storage);
  const job = { jobId: "j", token: "t", expiresAt: 9 };
  store.save(job);
  assert.deepEqual(store.load("j"), job);
  assert.equal(store.load("k"), undefined);
  localStorage.setItem("shelfwire.token.k", "{broken");
  assert.equal(store.load("k"), undefined);
  const heard: unknown[] = [];
  const off = store.onSave((saved) => heard.push(saved));
  const fire = (key: string, newValue: string): unknown =>
    window.dispatchEvent(Object.assign(new window.Event("storage"), { key, newValue, storageArea: localStorage }) as any);
  fire("shelfwire.token.j", JSON.stringify(job));
  fire("another", JSON.stringify(job));
  fire("shelfwire.token.j", "null");
  assert.deepEqual(heard, [job]);
  off();
  fire("shelfwire.token.j", JSON.stringify(job));
  assert.equal(heard.length, 1);
  for (const name of ["addEventListener", "removeEventListener"]) Reflect.deleteProperty(globalThis, name);
  await window.happyDOM.close();
});
