/** The page about the cluster, while real workers die, come back, learn, and lose everything. */
import type { APIRequestContext, Locator, Page } from "@playwright/test";
import type { ClusterLearner, ClusterMember, ClusterStatus } from "../src/api/client.ts";
import { violations } from "./accessibility.ts";
import type { Worker } from "./cluster.ts";
import { expect, test } from "./stage.ts";

const recordsCount = 3_072;
const writesOfOneTransaction = 32;

/** A write and a read may come while the view changes. */
const pausing = /status of 503/;

/** Some megabytes, so that a copy over a narrow link takes a while. */
async function fill(request: APIRequestContext): Promise<void> {
  for (let first = 0; first < recordsCount; first += writesOfOneTransaction) {
    const writes = Array.from({ length: writesOfOneTransaction }, (_, n) => ({
      key: `goose/${first + n}`,
      value: { number: first + n, song: "honk ".repeat(200) },
    }));
    const answer = await request.post("/api/transactions", { data: { writes } });
    expect(answer.status(), await answer.text()).toBe(200);
  }
}

/** How many records a member has; the answer may be a moment old. */
async function stored(request: APIRequestContext): Promise<number> {
  const { members } = (await (await request.get("/api/cluster")).json()) as ClusterStatus;
  return members[0]?.records ?? 0;
}

const card = (page: Page, part: "Member" | "Learner" | "Worker") =>
  page.getByRole("article", { name: new RegExp(`^${part} `) });

/** The sentence at the top. */
const summary = (page: Page) => page.getByRole("main").getByRole("status");

/** What stands for a name in the summary. */
const fact = (page: Page, name: string) => page.locator("div.fact").filter({ hasText: name }).locator("dd");

/**
 * How far down something is, on a narrow page and on a wide one. The number of comparisons grows by itself, and with one digit
 * more a line may need a second one; so it is left out while the place is taken.
 */
async function places(locator: Locator): Promise<number[]> {
  const places: number[] = [];
  for (const width of [320, 900]) {
    await locator.page().setViewportSize({ width, height: 800 });
    places.push(
      await locator.evaluate((element) => {
        const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const counted: { text: Text; data: string }[] = [];
        for (let node = texts.nextNode(); node !== null; node = texts.nextNode()) {
          const text = node as Text;
          if (/Compared (once|\d+ times)/.test(text.data)) counted.push({ text, data: text.data });
        }
        for (const { text, data } of counted) text.data = data.replace(/once|\d+ times/, "some times");
        const place = Math.round(element.getBoundingClientRect().top + window.scrollY);
        for (const { text, data } of counted) text.data = data;
        return place;
      }),
    );
  }
  return places;
}

test("a worker dies, comes back with its log, learns, and is a member again", async ({ gather, visit, expectedErrors }) => {
  test.setTimeout(180_000);
  expectedErrors.push(pausing);
  const cluster = await gather(3, "logged");
  const third = cluster.workers.at(-1) as Worker;
  const page = await visit(cluster.url, "/cluster");
  const named = (part: string) => page.getByRole("article", { name: `${part} ${third.link.address}` });
  await expect(card(page, "Member")).toHaveCount(3);
  expect((await page.request.post("/api/login", { data: { username: "ada" } })).ok()).toBe(true);
  await fill(page.request);
  await expect(summary(page)).toHaveText("Serving writes.");
  await expect.poll(() => stored(page.request)).toBeGreaterThanOrEqual(recordsCount);
  const records = (await stored(page.request)).toLocaleString("en-US");
  await expect(card(page, "Member").getByText(records, { exact: true })).toHaveCount(3);
  await expect(page.getByText(/Compared \d+ times since this coordinator started: all the same\./)).toBeVisible();
  const below = page.getByRole("heading", { name: "Under way at this coordinator" });
  const before = await places(below);

  await third.kill();
  await expect(summary(page)).toHaveText("Serving writes, with 2 of 3 copies.");
  await expect(fact(page, "Copies of each record")).toHaveText("2Meant to be 3.");
  await expect(card(page, "Member")).toHaveCount(2);
  await expect(named("Worker").getByText("nobody answers")).toBeVisible();
  expect(await places(below), "nothing has moved").toEqual(before);
  expect(await violations(page)).toEqual([]);

  third.link.bytesPerSecond = 200_000;
  await third.start();
  await expect(summary(page)).toHaveText("Serving writes, with 2 of 3 copies; 1 more to come.");
  const progress = named("Learner").getByRole("progressbar", { name: /^Copying from 127\.0\.0\.1:\d+$/ });
  const copied = async () => Number(await progress.getAttribute("aria-valuenow"));
  await expect.poll(copied).toBeGreaterThan(0);
  const early = await copied();
  await expect.poll(copied, "it updates while it runs").toBeGreaterThan(early);
  expect(await copied()).toBeLessThan(recordsCount);
  await expect(progress).toHaveAttribute("aria-valuetext", new RegExp(`^\\d(,\\d{3}|\\d{0,2}) of ${records} records$`));
  await expect(card(page, "Member")).toHaveCount(2);
  await expect(fact(page, "Copies of each record")).toHaveText("2Meant to be 3.");
  expect(await places(below), "nothing has moved").toEqual(before);
  expect(await violations(page)).toEqual([]);

  third.link.bytesPerSecond = Number.POSITIVE_INFINITY;
  await expect(card(page, "Member")).toHaveCount(3);
  await expect(summary(page)).toHaveText("Serving writes.");
  await expect(fact(page, "Copies of each record")).toHaveText("3One on each member.");
  await expect(card(page, "Member").getByText(records, { exact: true })).toHaveCount(3);
  await expect(page.getByText("the replicas hold the same")).toBeVisible();
  await expect(page.getByText(/Compared \d+ times since this coordinator started: all the same\./)).toBeVisible();
  await expect(page.getByRole("progressbar")).toHaveCount(0);
  expect(await places(below), "nothing has moved").toEqual(before);
});

test("a cluster in memory whose workers were all started anew says loudly that it is empty", async ({ gather, visit, expectedErrors }) => {
  expectedErrors.push(pausing);
  const cluster = await gather(2, "memory");
  const page = await visit(cluster.url, "/cluster");
  const lost = page.getByText(/All records were lost: the cluster has begun anew, empty, with view \d+/);
  await expect(card(page, "Member")).toHaveCount(2);
  await expect(lost).toHaveCount(0);
  for (const worker of cluster.workers) await worker.kill();
  await expect(summary(page)).toHaveText(/^Not serving: no member can be reached\./);
  await expect(card(page, "Member").getByText("member, not connected")).toHaveCount(2);
  expect(await violations(page)).toEqual([]);
  for (const worker of cluster.workers) await worker.start();
  await expect(page.getByText(/started with --data keeps its records/)).toBeVisible();
  // It is seen, and it is heard.
  await expect(lost).toHaveCount(2);
  await expect(summary(page)).toHaveText("Serving writes.");
  expect(await violations(page)).toEqual([]);
});

/** What a healthy cluster cannot be brought into on demand: parts of the real answer are replaced on their way to the app. */
const stages = {
  "copies that differ without a majority": {
    change: ({ members, comparison }) => ({
      replicas_agree: false,
      members: members.map((member, number) => ({ ...member, digest: member.digest?.replace(/.$/, String(number)) ?? null })),
      comparison: { ...comparison, compared: 7, differences: 2, undecided: true },
    }),
    told: [
      "The replicas differ, and a person has to decide.",
      /^The cluster changes nothing until a person decides\..* skein worker remove, .* skein worker add:/,
      /^The digests differ\. Compared 7 times .* A difference or damage was found 2 times\.$/,
    ],
  },
  "a damaged copy that is found, and one that is made anew": {
    change: ({ members: [first, second, third], comparison }) => ({
      copies: 2,
      members: [first, second] as ClusterMember[],
      learners: [{ ...third, donor: first?.node, records_copied: 8_192, records_total: 12_288 } as ClusterLearner],
      comparison: {
        ...comparison,
        compared: 7,
        differences: 3,
        repaired: 1,
        distrusted: [second, third].map((member) => ({ node: member?.node ?? "", address: member?.address ?? null })),
      },
    }),
    told: [
      "Serving writes, with 2 of 3 copies; 1 more to come.",
      "member, not trusted",
      "learner, being made anew",
      "8,192 of 12,288 records",
      /A difference or damage was found 3 times, and 1 copy was made anew\. Not trusted, and made anew from another copy: /,
    ],
  },
  "a worker out of reach, and others of every kind": {
    change: ({ members: [first, second, third], roster }) => ({
      roster: [...roster, "10.0.0.14:7000", "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535"],
      copies: 2,
      members: [{ ...first, connected: false, records: null, bytes: null, digest: null }, second] as ClusterMember[],
      replicas_agree: null,
      learners: [{ ...third, records_copied: 0, records_total: 0, donor: null } as ClusterLearner],
      others: [
        { node: "0a", address: "10.0.0.14:7000", connected: true, state: "waiting" },
        { node: null, address: "[2001:db8:85a3:8d3:1319:8a2e:370:7348]:65535", connected: false, state: "silent" },
        { node: "0b", address: "a-worker-of-another-cluster.with-a-long-name.example:7004", connected: true, state: "foreign" },
      ],
    }),
    told: [
      "Serving, with 1 of 2 members out of reach.",
      "member, not connected",
      "Waiting for a member to copy from",
      "waits to be taken in",
      "nobody answers",
      "not taken in",
      /^The replicas cannot be compared at the moment\./,
    ],
  },
} satisfies Record<string, { change: (real: ClusterStatus) => Partial<ClusterStatus>; told: (string | RegExp)[] }>;

for (const [name, { change, told }] of Object.entries(stages)) {
  test(`the page tells of ${name}, in both themes and at 320 pixels`, async ({ visit, skein }) => {
    const page = await visit(skein.url, "/login");
    await page.route("**/api/cluster", async (route) => {
      const answer = await route.fetch();
      const real = (await answer.json()) as ClusterStatus;
      await route.fulfill({ response: answer, json: { ...real, ...change(real) } });
    });
    await page.goto("/cluster");
    for (const text of told) await expect(page.getByRole("main").getByText(text)).toBeVisible();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await violations(page), colorScheme).toEqual([]);
    }
    await page.setViewportSize({ width: 320, height: 640 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
  });
}
