// Node's `ws`: groups of sockets that are sent a text at a rate. Arguments: port, rate, seconds, size, groups.
import { WebSocketServer } from "ws";

const [port, rate, seconds, size, count] = process.argv.slice(2).map(Number);
const groups = Array.from({ length: count }, () => []);
let connected = 0;
const server = new WebSocketServer({ host: "127.0.0.1", port, perMessageDeflate: false, backlog: 4096 });
server.on("connection", (socket) => groups[connected++ % count].push(socket));
server.on("listening", () => console.log("ready"));

const text = (kind) => {
  const head = `{"type":"${kind}","timestamp":${Date.now()},"payload":"`;
  return head + "x".repeat(size - head.length - 2) + '"}';
};

process.on("SIGUSR2", () => {
  const start = performance.now();
  for (const group of groups) {
    const began = start + (Math.random() * 1000) / rate;
    let number = 0;
    const tell = () => {
      const message = Buffer.from(text(number < rate * seconds ? "job_progress" : "job_complete"));
      for (const socket of group) socket.send(message, { binary: false });
      if (number++ < rate * seconds) setTimeout(tell, began + (number * 1000) / rate - performance.now());
      else for (const socket of group) socket.close(1000, "Job completed");
    };
    setTimeout(tell, began - performance.now());
  }
});
