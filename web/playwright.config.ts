import { defineConfig } from "@playwright/test";

// The tests drive the browser that the system has, against the real executable (e2e/skein.ts starts it).
export default defineConfig({
  testDir: "e2e",
  // Pictures for the documents are made on request alone: npm run pictures.
  testIgnore: process.env["SKEIN_PICTURES"] === undefined ? "**/pictures.spec.ts" : [],
  outputDir: "test-results",
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  forbidOnly: true,
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    viewport: { width: 900, height: 800 },
    launchOptions: {
      executablePath: process.env["CHROMIUM_BIN"] ?? "/usr/bin/chromium",
      args: [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
});
