// A worker in Node, with nothing but fetch: node report.mjs http://127.0.0.1:8787 pdf_report
// Claims one job, whose input is JSON with a number of pages, reports each page, and ends it.

const [server, pipeline] = process.argv.slice(2);
const BATCH = 1000;
const AGAIN = [429, 502, 503, 504];
const key = process.env.SHELFWIRE_API_KEY ? { "x-api-key": process.env.SHELFWIRE_API_KEY } : {};

// Sends the same bytes until they are answered: the server knows a report by its number.
async function post(path, body, headers) {
  const bytes = JSON.stringify(body);
  for (let pause = 100; ; pause = Math.min(1000, pause * 2)) {
    const answer = await fetch(server + path, {
      method: "POST", body: bytes, headers, signal: AbortSignal.timeout(40_000),
    }).catch(() => null);
    if (answer?.status === 204) return null;
    if (answer?.ok) return (await answer.json()).data;
    if (answer && !AGAIN.includes(answer.status)) throw new Error((await answer.json()).detail);
    await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random() / 2)));
  }
}

const claim = { pipelines: [pipeline], wait: 20, worker: `node ${process.pid}` };
const work = await post("/api/work/claim", claim, key);
if (!work) {
  console.log("no job waits");
  process.exit(0);
}
const headers = { authorization: `Bearer ${work.reportToken}` };
const path = `/api/jobs/${work.state.jobId}/report`;
const { pages } = await (await fetch(server + work.inputs[0].url, { headers })).json();
const recorded = (index) => work.recorded.some(([first, last]) => first <= index && index <= last);

// An empty report renews the lease. Await the pages' work, or nothing beats while it computes.
const beat = setInterval(() => post(path, {}, headers).catch(() => {}), (work.leaseSeconds * 1000) / 3);
let number = 0;
let items = [];
const report = async (more) => {
  const answer = await post(path, { number: ++number, ...(items.length ? { items } : {}), ...more }, headers);
  items = [];
  return answer;
};

let { stop } = await report({ totalCount: pages });
for (let page = 0; page < pages && !stop; page++) {
  if (recorded(page)) continue;
  items.push({ index: page, ok: true, title: `Page ${page}`, result: { words: 300 + page } });
  if (items.length === BATCH) ({ stop } = await report({}));
}
const { status } = await report({ end: stop ? { release: {} } : { complete: { summary: `${pages} pages` } } });
clearInterval(beat);
console.log(status);
