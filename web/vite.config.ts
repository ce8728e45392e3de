/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { paths } from "./src/paths.ts";

/** Tells the server which paths are pages of the app: every other is answered with 404. */
const pages: Plugin = {
  name: "pages",
  generateBundle() {
    this.emitFile({ type: "asset", fileName: "pages.json", source: JSON.stringify(Object.values(paths)) });
  },
};

// The executable embeds web/dist and serves it under a content security policy without inline script or style,
// so nothing may be inlined into the page.
export default defineConfig({
  plugins: [react(), pages],
  build: {
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  server: {
    port: 5173,
    proxy: { "/api": process.env["SKEIN_URL"] ?? "http://127.0.0.1:8080" },
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.ts"],
  },
});
