// Time as an argument: tests pass a clock that jumps.

export interface Clock {
  /** Milliseconds since the epoch, by this device. */
  now(): number;
  /** Calls `act` once after `ms` milliseconds, unless the returned function is called before. */
  timer(ms: number, act: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  timer(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  },
};

/** Waits until `ms` have passed or `signal` is aborted. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.timer(ms, done);
    signal?.addEventListener("abort", done);
  });
}

/** A signal that is aborted when `signal` is, or when the timer set by `beat` runs out. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #clock: Clock;
  readonly #unlink: () => void;
  #cancel: () => void = () => {};
  /** Whether the timer ran out. */
  passed = false;

  constructor(clock: Clock, signal?: AbortSignal) {
    this.#clock = clock;
    const abort = (): void => this.#controller.abort(signal?.reason);
    this.#unlink = () => signal?.removeEventListener("abort", abort);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Allow `ms` from now on. */
  beat(ms: number): void {
    this.#cancel();
    this.#cancel = this.#clock.timer(ms, () => {
      this.passed = true;
      this.#controller.abort(new DOMException("The server did not answer in time", "TimeoutError"));
    });
  }

  /** End what runs under the signal, and the timer. */
  end(): void {
    this.#cancel();
    this.#unlink();
    this.#controller.abort();
  }
}
