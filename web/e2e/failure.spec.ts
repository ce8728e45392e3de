/** The server dies without warning, with its log on disk, and comes back. */
import type { Page } from "@playwright/test";
import { violations } from "./accessibility.ts";
import type { Skein } from "./skein.ts";
import { expect, test } from "./stage.ts";

/** All that Chromium may say of a connection that ends at any moment. */
const serverGone =
  /ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|INCOMPLETE_CHUNKED_ENCODING|CONTENT_LENGTH_MISMATCH)|status of 503|icon from the Manifest.*Download error/;

/** What a text stands for in the store and on the page after all is settled: once, and nowhere twice. */
const occurrences = (texts: string[], text: string) => texts.filter((stored) => stored === text).length;

test("a post into the void is unknown, then committed, once", async ({ arrive, skein, expectedErrors }) => {
  expectedErrors.push(serverGone);
  const ada = await arrive("ada");
  await ada.post("Before the storm.");
  await expect(ada.tweets("Before the storm.").getByText("Committed")).toBeVisible();

  await skein.kill();
  await ada.post("Into the void.");
  await expect(ada.tweets("Into the void.").getByText("Unknown: asking")).toBeVisible();
  await expect(ada.page.getByText("The server does not answer. Trying again")).toBeVisible();
  await expect(ada.tweets("Before the storm.")).toHaveCount(1);
  expect(await violations(ada.page)).toEqual([]);

  await skein.start();
  await expect(ada.tweets("Into the void.").getByText("Committed")).toBeVisible({ timeout: 30_000 });
  await expect(ada.page.getByText("The server does not answer.")).toHaveCount(0);
  await expect(ada.tweets("Into the void.")).toHaveCount(1);
  const stored = await ada.stored();
  expect(occurrences(stored, "Into the void.")).toBe(1);
  expect(occurrences(stored, "Before the storm.")).toBe(1);
});

test("killed in the middle of posts: each is there once, none is missing, also after a reload", async ({
  arrive,
  skein,
  expectedErrors,
}) => {
  expectedErrors.push(serverGone);
  test.setTimeout(180_000);
  const ada = await arrive("ada");
  const texts: string[] = [];
  for (let round = 0; round < 8; round++) {
    const text = `Round ${round} in the storm.`;
    texts.push(text);
    // The request is on its way when the kill comes; how far it got differs from round to round.
    const underway = ada.page.waitForRequest((request) => request.method() === "POST");
    await ada.post(text);
    await underway;
    await skein.kill();
    if (round % 2 === 1) {
      await skein.start();
      // A reload in the middle takes the write up again under its key.
      await ada.page.reload();
    } else await skein.start();
    await expect(ada.tweets(text)).toHaveCount(1, { timeout: 30_000 });
    await expect(ada.page.getByText("Unknown: asking")).toHaveCount(0, { timeout: 30_000 });
  }
  await ada.page.reload();
  for (const text of texts) await expect(ada.tweets(text)).toHaveCount(1);
  const stored = await ada.stored();
  for (const text of texts) expect(occurrences(stored, text), text).toBe(1);
});

/** Whatever says that something is well: the sentences, and the colours. */
const praise = (page: Page) =>
  page.getByRole("main").locator(".summary-good, .lamp-good").or(page.getByText(/^Serving|hold the same\.$|all the same|Equal digests/));

/** The time until which the page says that it knew, today. */
async function knownUntil(page: Page): Promise<number> {
  const text = await page.getByRole("main").getByRole("status").textContent();
  const time = /^Not known since (\d{1,2}:\d\d:\d\d(?:\s[AP]M)?)\.$/.exec(text ?? "")?.[1] ?? "";
  return Date.parse(`${new Date().toDateString()} ${time.replace(/\s/, " ")}`);
}

for (const { what, stop, start } of [
  { what: "dies", stop: (skein: Skein) => skein.kill(), start: (skein: Skein) => skein.start() },
  { what: "hangs", stop: (skein: Skein) => skein.hang(), start: (skein: Skein) => skein.goOn() },
]) {
  test(`the cluster page withdraws what it claims when the server ${what}, says until when it knew, and comes back`, async ({
    arrive,
    skein,
    expectedErrors,
  }) => {
    expectedErrors.push(serverGone);
    const ada = await arrive("ada");
    const { page } = ada;
    await page.getByRole("link", { name: "Cluster" }).click();
    const members = page.getByRole("article", { name: /^Member/ });
    await expect(members).toHaveCount(3);
    await expect(page.getByRole("main").getByRole("status")).toHaveText("Serving writes.");
    await expect(page.getByText("the replicas hold the same")).toBeVisible();
    // The lamps of three members, the sentence at the top, and those about the digests.
    expect(await praise(page).count()).toBeGreaterThanOrEqual(5);

    const beforeMs = Date.now();
    await stop(skein);
    const stoppedMs = Date.now();
    await expect(page.getByRole("main").getByRole("status")).toHaveText(/^Not known since /);
    await expect(praise(page)).toHaveCount(0);
    // To the second, and one poll earlier at the most; the hour of the change of day is not worth a test.
    const untilMs = await knownUntil(page);
    expect(untilMs).toBeGreaterThan(beforeMs - 10_000);
    expect(untilMs).toBeLessThanOrEqual(stoppedMs);
    await expect(members).toHaveCount(3);
    for (const member of await members.all()) await expect(member).toContainText(/as of \d{1,2}:\d\d:\d\d/);
    await expect(page.getByText(/^Whether the replicas hold the same is not known\. They did as of/)).toBeVisible();
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await violations(page), colorScheme).toEqual([]);
    }
    await expect(page.getByText(/Below is what was last known, as of \d/)).toBeVisible({ timeout: 30_000 });
    expect(await violations(page)).toEqual([]);

    await start(skein);
    await expect(page.getByRole("main").getByRole("status")).toHaveText("Serving writes.", { timeout: 30_000 });
    await expect(page.getByText(/as of \d/i)).toHaveCount(0);
    await expect(page.locator(".lamp-good")).toHaveCount(3);
  });
}
