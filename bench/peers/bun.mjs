// Bun's own server: groups of sockets that are sent a text at a rate. Arguments: port, rate, seconds, size, groups.
const [port, rate, seconds, size, count] = process.argv.slice(2).map(Number);
const groups = Array.from({ length: count }, () => []);
let connected = 0;
const server = Bun.serve({
  hostname: "127.0.0.1",
  port,
  fetch: (request, self) => (self.upgrade(request) ? undefined : new Response("", { status: 400 })),
  websocket: {
    perMessageDeflate: false,
    message() {},
    open(socket) {
      const group = connected++ % count;
      groups[group].push(socket);
      socket.subscribe(`${group}`);
    },
  },
});
console.log("ready");

const text = (kind) => {
  const head = `{"type":"${kind}","timestamp":${Date.now()},"payload":"`;
  return head + "x".repeat(size - head.length - 2) + '"}';
};

process.on("SIGUSR2", () => {
  const start = performance.now();
  groups.forEach((group, index) => {
    const began = start + (Math.random() * 1000) / rate;
    let number = 0;
    const tell = () => {
      server.publish(`${index}`, text(number < rate * seconds ? "job_progress" : "job_complete"));
      if (number++ < rate * seconds) setTimeout(tell, began + (number * 1000) / rate - performance.now());
      else for (const socket of group) socket.close(1000, "Job completed");
    };
    setTimeout(tell, began - performance.now());
  });
});
