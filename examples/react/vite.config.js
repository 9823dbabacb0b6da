import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// While developing, Vite passes on what is for the server, so that the page and the server have one origin.
const server = "http://127.0.0.1:8787";

export default defineConfig({
  plugins: [react()],
  base: "./",
  server: { proxy: { "/api": server, "/health": server, "/ws": { target: server, ws: true } } },
});
