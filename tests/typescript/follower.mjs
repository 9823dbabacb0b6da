// Follows a job, or one that it starts with a file, with the built client and writes what it is shown, a line of JSON each.
const { client: address, job: given, options } = JSON.parse(process.argv[2]);
const { Client } = await import(address);
const write = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const client = new Client(options);
const job = given.file === undefined ? given : await client.importCsv(new File([given.file], "books.csv"));
const following = client.follow(job, { onWait: (wait) => write({ wait }) });
let error = null;
try {
  for await (const message of following) write({ message: { ...message, payload: { ...message.payload, results: undefined } } });
} catch (thrown) {
  error = thrown.code ?? String(thrown);
}
write({ transport: following.transport ?? null, error });
