/** The server dies without warning, with its log on disk, and comes back. */
import { violations } from "./accessibility.ts";
import { expect, test } from "./stage.ts";

/** All that Chromium may say of a connection that ends at any moment. */
const serverGone =
  /ERR_(CONNECTION_(REFUSED|RESET|CLOSED|ABORTED)|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|INCOMPLETE_CHUNKED_ENCODING|CONTENT_LENGTH_MISMATCH)|status of 503/;

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

test("the cluster page keeps what it knew, says so, and comes back", async ({ arrive, skein, expectedErrors }) => {
  expectedErrors.push(serverGone);
  const ada = await arrive("ada");
  await ada.page.getByRole("link", { name: "Cluster" }).click();
  await expect(ada.page.getByRole("article", { name: /^Member/ })).toHaveCount(3);
  await skein.kill();
  await expect(ada.page.getByText("Below is what was last known.")).toBeVisible();
  await expect(ada.page.getByRole("article", { name: /^Member/ })).toHaveCount(3);
  await skein.start();
  await expect(ada.page.getByText("Below is what was last known.")).toHaveCount(0, { timeout: 30_000 });
});
