/**
 * What every test of the app has: one running Skein per test file, people with a browser each, and watchfulness: a
 * test fails when the console shows an error or the content security policy was violated anywhere in it.
 */
import { test as base, expect, type BrowserContext, type ConsoleMessage } from "@playwright/test";
import { Person } from "./person.ts";
import { Skein } from "./skein.ts";

interface Fixtures {
  /** Opens a browser of its own for somebody, logged in under a name of this test alone. */
  arrive: (name: string) => Promise<Person>;
  /** Somebody in a browser of their own who has not logged in yet. */
  stranger: Person;
  /** Console errors that the test expects, such as requests it made fail. */
  expectedErrors: RegExp[];
  faults: string[];
}

interface WorkerFixtures {
  skein: Skein;
}

/** Chromium reports each answer of 401 as an error; the app asks who is logged in, and nobody is. */
const notLoggedInYet = /status of 401/;

export const test = base.extend<Fixtures, WorkerFixtures>({
  skein: [
    async ({}, use) => {
      const skein = new Skein();
      await skein.start();
      await use(skein);
      await skein.remove();
    },
    { scope: "worker" },
  ],

  expectedErrors: async ({}, use) => use([notLoggedInYet]),

  faults: [
    async ({ expectedErrors }, use) => {
      const faults: string[] = [];
      await use(faults);
      expect(faults.filter((fault) => !expectedErrors.some((expected) => expected.test(fault)))).toEqual([]);
    },
    { auto: true },
  ],

  stranger: async ({ browser, skein, faults }, use) => {
    const context = await browser.newContext({ baseURL: skein.url });
    await watch(context, faults);
    await use(new Person(await context.newPage(), ""));
    await context.close();
  },

  arrive: async ({ browser, skein, faults }, use, info) => {
    const contexts: BrowserContext[] = [];
    await use(async (name) => {
      const context = await browser.newContext({ baseURL: skein.url });
      contexts.push(context);
      await watch(context, faults);
      const person = new Person(await context.newPage(), `${name}-${info.testId.slice(-6)}${info.repeatEachIndex}`);
      await person.logIn();
      return person;
    });
    for (const context of contexts) await context.close();
  },
});

async function watch(context: BrowserContext, faults: string[]): Promise<void> {
  context.on("console", (message: ConsoleMessage) => {
    if (message.type() === "error" || message.type() === "warning") {
      faults.push(`${message.text()} (${message.location().url})`);
    }
  });
  context.on("weberror", (error) => faults.push(String(error.error())));
  await context.exposeBinding("reportViolation", (_, text: string) => void faults.push(text));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      const report = (window as unknown as { reportViolation(text: string): void }).reportViolation;
      report(`policy violated: ${event.violatedDirective} by ${event.blockedURI}`);
    });
  });
}

export { expect };
