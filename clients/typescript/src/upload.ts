// Sends forms with files, and says how far it is.
import { BadAnswer } from "./errors.js";
import type { Ask, Http } from "./http.js";

/** Receives the share of the bytes that were sent, from 0 to 1; undefined where the browser cannot tell. */
export type OnUpload = (share: number | undefined) => void;

/**
 * POSTs a form and returns `data` of the answer: by `XMLHttpRequest` where there is one, since `fetch` says nothing of what
 * it sends, else by `fetch`. Throws as `Http.send` does.
 */
export async function upload(http: Http, path: string, ask: Ask, onUpload?: OnUpload): Promise<any> {
  if (onUpload === undefined || globalThis.XMLHttpRequest === undefined) return http.data("POST", path, ask, 0);
  const { signal, body = null, headers = {} } = ask;
  const request = new XMLHttpRequest();
  const stop = (): void => request.abort();
  signal?.throwIfAborted();
  signal?.addEventListener("abort", stop);
  try {
    await new Promise<void>((resolve, reject) => {
      request.open("POST", http.address(path, ask.query));
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      request.responseType = "json";
      request.upload.onprogress = ({ lengthComputable, loaded, total }) => onUpload(lengthComputable ? loaded / total : undefined);
      request.onload = () => resolve();
      request.onerror = () => reject(new TypeError("no answer came"));
      request.onabort = () => reject(signal?.reason);
      request.send(body as FormData | null);
    });
  } finally {
    signal?.removeEventListener("abort", stop);
  }
  const { status, response } = request;
  if (status >= 200 && status < 300) return http.dataIn(response, status);
  throw new BadAnswer(status, { get: (name) => request.getResponseHeader(name) }, response);
}
