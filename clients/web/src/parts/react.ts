// What the client's `useJob` needs of React, by Preact's hooks: preact/compat would be larger than all of them.
import { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef } from "preact/hooks";

export { useCallback, useMemo };

/** React's hook of this name; its third argument, for servers, is not used. */
export function useSyncExternalStore<T>(subscribe: (listener: () => void) => () => void, snapshot: () => T, _onServer?: () => T): T {
  const now = snapshot();
  const shown = useRef({ now, snapshot });
  const [, render] = useReducer((count: number) => count + 1, 0);
  useLayoutEffect(() => {
    shown.current = { now, snapshot };
  });
  useEffect(() => {
    const check = (): void => {
      if (!Object.is(shown.current.snapshot(), shown.current.now)) render(undefined);
    };
    check();
    return subscribe(check);
  }, [subscribe]);
  return now;
}
