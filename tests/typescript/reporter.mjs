// Makes a job with the built client, reports its items, a few at a time, and ends it; says what followers need.
const { report: address, url, items } = JSON.parse(process.argv[2]);
const { begin } = await import(address);

const job = await begin("pdf_report", { url, total: items });
console.log(JSON.stringify(job.handle));
for (let index = 0; index < items; index += 1) {
  await job.record(index, { index }, { title: `Page ${index}` });
  if (index % 100 === 0) await job.flush();
}
await job.keep("place", new TextEncoder().encode("the end"));
console.log(JSON.stringify(await job.complete({ summary: "All pages" })));
