import { expect, test } from "./stage.ts";

test("older tweets come as the reader gets there, each once, and the place is kept", async ({ arrive }) => {
  const ada = await arrive("ada");
  const texts = Array.from({ length: 120 }, (_, n) => `Number ${n} of ${ada.name}.`);
  for (const text of texts) await ada.postDirectly(text);
  await ada.page.reload();
  await expect(ada.tweets(texts.at(-1) ?? "")).toHaveCount(1);
  await expect(ada.tweets(texts[0] ?? "")).toHaveCount(0);

  await expect(async () => {
    await ada.page.mouse.move(450, 400);
    await ada.page.mouse.wheel(0, 4_000);
    await expect(ada.tweets(texts[0] ?? "")).toHaveCount(1, { timeout: 500 });
  }).toPass();
  const shown = await ada.page.getByText(/^Number \d+ of /).allTextContents();
  expect(shown.filter((text) => texts.includes(text))).toEqual([...texts].reverse());

  // To another page and back: same list, same place.
  await ada.tweets(texts[40] ?? "").scrollIntoViewIfNeeded();
  const before = await ada.page.evaluate(() => window.scrollY);
  expect(before).toBeGreaterThan(1_000);
  await ada.page.getByRole("link", { name: "Cluster" }).click();
  await expect(ada.page.getByRole("heading", { name: "Cluster" })).toBeVisible();
  await ada.page.goBack();
  await expect(ada.tweets(texts[40] ?? "")).toBeInViewport();
  expect(Math.abs((await ada.page.evaluate(() => window.scrollY)) - before)).toBeLessThan(50);
});

test("new tweets are offered without moving what is being read", async ({ arrive }) => {
  const ada = await arrive("ada");
  await ada.postDirectly(`Title of ${ada.name}.`);
  const bob = await arrive("bob");
  await expect(bob.tweets(`Title of ${ada.name}.`)).toHaveCount(1);
  for (let n = 0; n < 15; n++) await ada.postDirectly(`Line ${n} of ${ada.name}.`);
  const button = bob.page.getByRole("button", { name: /new tweets?/ });
  // Bob's tab may ask in the middle of that, and then again.
  await expect(button).toHaveText(/15 new tweets/);
  await button.click();
  const read = bob.tweets(`Line 6 of ${ada.name}.`);
  await read.scrollIntoViewIfNeeded();
  const place = await read.boundingBox();

  await ada.post("Breaking.");
  await ada.post("Breaking again.");
  await expect(button).toHaveText(/2 new tweets/);
  await expect(bob.tweets("Breaking.")).toHaveCount(0);
  expect((await read.boundingBox())?.y).toBe(place?.y);
  await button.click();
  await expect(bob.tweets("Breaking.")).toHaveCount(1);
  await expect(bob.tweets("Breaking again.")).toHaveCount(1);
  await expect(bob.tweets("Breaking again.")).toBeInViewport();
});

test("more new tweets than a page holds leave no gap", async ({ arrive }) => {
  test.setTimeout(120_000);
  const ada = await arrive("ada");
  const bob = await arrive("bob");
  await expect(bob.page.getByRole("article").first()).toBeVisible();
  // Bob's tab is in the background while much happens.
  const held: (() => void)[] = [];
  await bob.page.route("**/api/tweet?*", (route) => {
    // One that was held for too long has been given up by then.
    held.push(() => void route.continue().catch(() => undefined));
  });
  const texts = Array.from({ length: 80 }, (_, n) => `Flood ${n} of ${ada.name}.`);
  for (const text of texts) await ada.postDirectly(text);
  await bob.page.unroute("**/api/tweet?*");
  for (const release of held) release();
  await bob.page.getByRole("button", { name: "50 or more new tweets" }).click();
  await expect(bob.tweets(texts.at(-1) ?? "")).toBeInViewport();
  await expect(async () => {
    await bob.page.mouse.move(450, 400);
    await bob.page.mouse.wheel(0, 4_000);
    await expect(bob.tweets(texts[0] ?? "")).toHaveCount(1, { timeout: 500 });
  }).toPass();
  const shown = await bob.page.getByText(/^Flood \d+ of /).allTextContents();
  expect(shown).toEqual([...texts].reverse());
});

test("drafts survive a reload, of a new tweet and of an edit", async ({ arrive }) => {
  const ada = await arrive("ada");
  await ada.post("To be edited.");
  await expect(ada.tweets("To be edited.").getByText("Committed")).toBeVisible();
  await ada.composer.fill("Begun");
  await ada.tweets("To be edited.").getByRole("button", { name: "Edit" }).click();
  await ada.page.getByLabel("Edit your tweet").fill("Edited halfw");
  await ada.page.reload();
  await expect(ada.composer).toHaveValue("Begun");
  await expect(ada.page.getByLabel("Edit your tweet")).toHaveValue("Edited halfw");
  await ada.page.getByRole("button", { name: "Cancel" }).click();
  await ada.composer.fill("");
  await ada.page.reload();
  await expect(ada.tweets("To be edited.")).toHaveCount(1);
  await expect(ada.page.getByLabel("Edit your tweet")).toHaveCount(0);
  await expect(ada.composer).toHaveValue("");
});

test("the count is of Unicode scalar values, and the server agrees at the bound", async ({ arrive }) => {
  const ada = await arrive("ada");
  await ada.composer.fill("🪿".repeat(101));
  await expect(ada.page.getByText("101 / 100")).toBeVisible();
  await ada.page.getByRole("button", { name: "Post", exact: true }).click();
  await expect(ada.page.getByText("1 character too many.")).toBeVisible();
  await ada.post("🪿".repeat(100));
  await expect(ada.tweets("🪿".repeat(100)).getByText("Committed")).toBeVisible();
  await ada.composer.fill("  \n ");
  await ada.page.getByRole("button", { name: "Post", exact: true }).click();
  await expect(ada.page.getByText("Write something first.")).toBeVisible();
});
