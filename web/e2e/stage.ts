/**
 * What every test of the app has: one running Skein per test file, people with a browser each, and watchfulness: a
 * test fails when the console shows an error or the content security policy was violated anywhere in it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect, type BrowserContext, type ConsoleMessage, type Page, type TestInfo } from "@playwright/test";
import { Cluster, type Durability } from "./cluster.ts";
import { Person } from "./person.ts";
import { Skein } from "./skein.ts";

interface Fixtures {
  /** Opens a browser of its own for somebody, logged in under a name of this test alone. */
  arrive: (name: string) => Promise<Person>;
  /** Somebody with a browser whose profile is on disk, which can be closed and opened again; not logged in yet. */
  owner: (name: string) => Owner;
  /** Somebody in a browser of their own who has not logged in yet. */
  stranger: Person;
  /** Starts a cluster of processes of this test's own; it outlives the pages that `visit` opens, so that none polls in vain. */
  gather: (count: number, durability: Durability) => Promise<Cluster>;
  /** Opens a page of a server that the test has started itself. */
  visit: (url: string, path: string) => Promise<Page>;
  /** Console errors that the test expects, such as requests it made fail. */
  expectedErrors: RegExp[];
  faults: string[];
}

interface WorkerFixtures {
  /** What a test file wants `skein up` to be started with. */
  flags: readonly string[];
  skein: Skein;
}

/** Chromium reports each answer of 401 as an error; the app asks who is logged in, and nobody is. */
const notLoggedInYet = /status of 401/;

/** Somebody with a device: its browser may be closed, and what it keeps is there when it is opened again. */
export class Owner {
  private person: Person | null = null;

  constructor(
    readonly name: string,
    private readonly launch: () => Promise<BrowserContext>,
  ) {}

  /** Opens the browser. */
  async open(): Promise<Person> {
    const context = await this.launch();
    this.person = new Person(context.pages()[0] ?? (await context.newPage()), this.name);
    return this.person;
  }

  /** Closes all tabs, as people do, and then the browser. */
  async close(): Promise<void> {
    const context = this.person?.page.context();
    for (const page of context?.pages() ?? []) await page.close({ runBeforeUnload: false });
    await context?.close();
    this.person = null;
  }

  get seen(): Person | null {
    return this.person;
  }
}

export const test = base.extend<Fixtures, WorkerFixtures>({
  flags: [[], { scope: "worker", option: true }],

  skein: [
    async ({ flags }, use) => {
      const skein = new Skein(flags);
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

  stranger: async ({ browser, skein, faults }, use, info) => {
    const context = await browser.newContext({ baseURL: skein.url });
    await watch(context, faults);
    const stranger = new Person(await context.newPage(), "stranger");
    await use(stranger);
    if (info.status !== info.expectedStatus) await picture(stranger, info);
    await context.close();
  },

  owner: async ({ playwright, browserName, launchOptions, viewport, skein, faults }, use, info) => {
    const owners: { owner: Owner; profile: string }[] = [];
    await use((name) => {
      const profile = mkdtempSync(join(tmpdir(), "skein-profile-"));
      const owner = new Owner(`${name}-${info.testId.slice(-6)}${info.repeatEachIndex}`, async () => {
        const options = { ...launchOptions, viewport, baseURL: skein.url };
        const context = await playwright[browserName].launchPersistentContext(profile, options);
        await watch(context, faults);
        return context;
      });
      owners.push({ owner, profile });
      return owner;
    });
    for (const { owner, profile } of owners) {
      if (info.status !== info.expectedStatus && owner.seen !== null) await picture(owner.seen, info);
      await owner.close();
      rmSync(profile, { recursive: true, force: true });
    }
  },

  gather: async ({}, use) => {
    const clusters: Cluster[] = [];
    await use(async (count, durability) => {
      const cluster = new Cluster(count, durability);
      clusters.push(cluster);
      await cluster.start();
      return cluster;
    });
    for (const cluster of clusters) await cluster.remove();
  },

  visit: async ({ browser, faults, gather: _outlives }, use, info) => {
    const visitors: Person[] = [];
    await use(async (url, path) => {
      const context = await browser.newContext({ baseURL: url });
      await watch(context, faults);
      const visitor = new Person(await context.newPage(), `visitor-${visitors.length}`);
      visitors.push(visitor);
      await visitor.page.goto(path);
      return visitor.page;
    });
    for (const visitor of visitors) {
      if (info.status !== info.expectedStatus) await picture(visitor, info);
      await visitor.page.context().close();
    }
  },

  arrive: async ({ browser, skein, faults }, use, info) => {
    const people: Person[] = [];
    await use(async (name) => {
      const context = await browser.newContext({ baseURL: skein.url });
      await watch(context, faults);
      const person = new Person(await context.newPage(), `${name}-${info.testId.slice(-6)}${info.repeatEachIndex}`);
      people.push(person);
      await person.logIn();
      return person;
    });
    for (const person of people) {
      if (info.status !== info.expectedStatus) await picture(person, info);
      await person.page.context().close();
    }
  },
});

/** What somebody saw when a test failed. */
async function picture(person: Person, info: TestInfo): Promise<void> {
  await person.page.screenshot({ path: info.outputPath(`${person.name}.png`) }).catch(() => undefined);
}

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
