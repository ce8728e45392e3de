/** Bookmarks: made at a tweet, listed and removed on a page of their own. */
import type { Page } from "@playwright/test";
import { violations } from "./accessibility.ts";
import type { Person } from "./person.ts";
import { expect, test } from "./stage.ts";
import { tabTo } from "./tab.ts";

const toggleAt = (person: Person, text: string) =>
  person.tweets(text).getByRole("button", { name: "Bookmark", exact: true });

/** Presses the button, and waits until the server has done what it asks for. */
async function toggle(person: Person, text: string, method: "PUT" | "DELETE"): Promise<void> {
  const done = person.page.waitForResponse(
    (response) => response.url().includes("/api/bookmarks/") && response.request().method() === method && response.ok(),
  );
  await toggleAt(person, text).click();
  await done;
}

async function openBookmarks(page: Page): Promise<void> {
  await page.getByRole("link", { name: "Bookmarks" }).click();
  await expect(page.getByRole("heading", { name: "Bookmarks" })).toBeFocused();
}

/** Posts so many tweets and marks them, without the app; gives their ids. */
async function markDirectly(person: Person, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let number = 1; number <= count; number++) {
    const posted = await person.page.request.post("/api/tweet", { data: { text: `Number ${number}.` } });
    const { id } = (await posted.json()) as { id: string };
    expect((await person.page.request.put(`/api/bookmarks/${id}`)).status()).toBe(201);
    ids.push(id);
  }
  return ids;
}

test("mark, list, remove", async ({ arrive }) => {
  const [ada, bob] = [await arrive("ada"), await arrive("bob")];
  const { page } = ada;
  for (const text of ["First.", "Second.", "Third."]) await bob.postDirectly(text);
  await page.reload();
  for (const text of ["Third.", "First."]) {
    await expect(toggleAt(ada, text)).toHaveAttribute("aria-pressed", "false");
    await toggle(ada, text, "PUT");
    await expect(toggleAt(ada, text)).toHaveAttribute("aria-pressed", "true");
  }
  await openBookmarks(page);
  const listed = page.getByRole("article").locator(".tweet-text");
  await expect(listed).toHaveText(["First.", "Third."]);
  await expect(page).toHaveTitle("Bookmarks · Skein");

  // The timeline knows again after a reload, and nobody else has them.
  await page.goto("/main");
  await expect(toggleAt(ada, "First.")).toHaveAttribute("aria-pressed", "true");
  await expect(toggleAt(ada, "Second.")).toHaveAttribute("aria-pressed", "false");
  const answered = bob.page.waitForResponse("**/api/bookmarks?tweets=*");
  await bob.page.reload();
  expect(await (await answered).json()).toEqual({ bookmarks: [], next: null });
  await expect(toggleAt(bob, "First.")).toHaveAttribute("aria-pressed", "false");

  await toggle(ada, "First.", "DELETE");
  await expect(toggleAt(ada, "First.")).toHaveAttribute("aria-pressed", "false");
  await openBookmarks(page);
  await expect(listed).toHaveText(["Third."]);
  await ada.tweets("Third.").getByRole("button", { name: "Remove bookmark" }).click();
  await expect(page.getByText("No bookmarks yet")).toBeVisible();
  await page.getByRole("link", { name: "Timeline" }).click();
  await expect(toggleAt(ada, "Third.")).toHaveAttribute("aria-pressed", "false");
});

test("a tweet that was deleted meanwhile is shown as gone, and its bookmark can be removed", async ({ arrive }) => {
  const [ada, bob] = [await arrive("ada"), await arrive("bob")];
  await bob.postDirectly("Gone soon.");
  await ada.page.reload();
  await toggleAt(ada, "Gone soon.").click();
  await openBookmarks(ada.page);
  await expect(ada.tweets("Gone soon.")).toHaveCount(1);
  const [marked] = ((await (await ada.page.request.get("/api/bookmarks")).json()) as { bookmarks: { tweet_id: string }[] })
    .bookmarks;
  expect((await bob.page.request.delete(`/api/tweet/${marked?.tweet_id}`)).status()).toBe(204);
  await ada.page.reload();
  const gone = ada.page.getByRole("article", { name: "This tweet was deleted." });
  await expect(gone).toHaveCount(1);
  await gone.getByRole("button", { name: "Remove bookmark" }).click();
  await expect(ada.page.getByText("No bookmarks yet")).toBeVisible();
});

test("a tweet that was deleted a moment ago cannot be marked, and the button says so", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(/status of 404/);
  const [ada, bob] = [await arrive("ada"), await arrive("bob")];
  await bob.postDirectly("Too late.");
  await ada.page.reload();
  await expect(toggleAt(ada, "Too late.")).toBeVisible();
  // What is shown is not polled any more.
  await ada.page.route("**/api/tweet?*", (route) => route.abort("aborted"));
  const { tweets } = (await (await bob.page.request.get("/api/tweet")).json()) as { tweets: { id: string; text: string }[] };
  const id = tweets.find(({ text }) => text === "Too late.")?.id;
  expect((await bob.page.request.delete(`/api/tweet/${id}`)).status()).toBe(204);
  await toggleAt(ada, "Too late.").click();
  await expect(ada.tweets("Too late.").getByText("This tweet no longer exists.")).toBeVisible();
  await expect(toggleAt(ada, "Too late.")).toHaveAttribute("aria-pressed", "false");
});

test("marked and removed by keyboard alone, and the focus goes on", async ({ arrive }) => {
  const ada = await arrive("ada");
  const { page } = ada;
  await markDirectly(ada, 2);
  await ada.postDirectly("By keyboard.");
  await page.reload();
  await expect(toggleAt(ada, "By keyboard.")).toBeVisible();
  await tabTo(page, "button", "Bookmark");
  await page.keyboard.press("Space");
  await expect(toggleAt(ada, "By keyboard.")).toHaveAttribute("aria-pressed", "true");
  await expect(toggleAt(ada, "By keyboard.")).toBeFocused();
  await expect(page.getByText("Bookmarked.")).toBeAttached();
  await page.reload();
  await expect(toggleAt(ada, "By keyboard.")).toHaveAttribute("aria-pressed", "true");
  await tabTo(page, "link", "Bookmarks");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Bookmarks" })).toBeFocused();

  await expect(ada.tweets("By keyboard.")).toHaveCount(1);
  for (const next of ["Number 2.", "Number 1."]) {
    await tabTo(page, "button", "Remove bookmark");
    await page.keyboard.press("Enter");
    await expect(ada.tweets(next)).toBeFocused();
    await page.keyboard.press("Shift+Tab");
  }
  await tabTo(page, "button", "Remove bookmark");
  await page.keyboard.press("Enter");
  await expect(page.getByText("No bookmarks yet")).toBeVisible();
  await expect(page.getByRole("heading", { name: "Bookmarks" })).toBeFocused();
});

test("five hundred load page after page, and each is there once", async ({ arrive }) => {
  const ada = await arrive("ada");
  await markDirectly(ada, 500);
  const asked: string[] = [];
  ada.page.on("request", (request) => request.url().includes("/api/bookmarks?limit") && asked.push(request.url()));
  await ada.page.goto("/bookmarks");
  const cards = ada.page.getByRole("article");
  await expect(cards).toHaveCount(50);
  expect(asked).toHaveLength(1);
  while ((await cards.count()) < 500) {
    const before = await cards.count();
    await ada.page.evaluate(() => window.scrollTo(0, document.body.scrollHeight));
    await expect.poll(() => cards.count()).toBeGreaterThan(before);
  }
  await expect(ada.page.getByText("That is all there is.")).toBeVisible();
  const texts = await cards.locator(".tweet-text").allTextContents();
  expect(texts).toEqual(Array.from({ length: 500 }, (_, i) => `Number ${500 - i}.`));
  expect(asked).toHaveLength(10);
});

test("failures are said, and nothing is kept that the network did not take", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(/status of (500|409)|ERR_INTERNET_DISCONNECTED|icon from the Manifest.*Download error/);
  const ada = await arrive("ada");
  const { page } = ada;
  await ada.postDirectly("One too many.");
  await page.reload();
  const problem = (status: number, body: object) => ({
    status,
    contentType: "application/problem+json",
    body: JSON.stringify({ type: "about:blank", title: "No", status, ...body }),
  });
  const detail = "you have 1000 bookmarks, as many as are allowed; remove one first";
  await page.route("**/api/bookmarks/*", (route) => route.fulfill(problem(409, { code: 740, detail })));
  await toggleAt(ada, "One too many.").click();
  await expect(ada.tweets("One too many.").getByText("You have 1000 bookmarks")).toBeVisible();
  await expect(toggleAt(ada, "One too many.")).toHaveAttribute("aria-pressed", "false");
  await page.unroute("**/api/bookmarks/*");

  await page.context().setOffline(true);
  await expect(page.getByText("You are offline.").first()).toBeVisible();
  await toggleAt(ada, "One too many.").click();
  await expect(ada.tweets("One too many.").getByText("You are offline. Nothing was changed.")).toBeVisible();
  await expect(toggleAt(ada, "One too many.")).toHaveAttribute("aria-pressed", "false");
  await page.context().setOffline(false);

  await page.route("**/api/bookmarks?*", (route) => route.fulfill(problem(500, { code: 799, detail: "it broke" })));
  await page.goto("/bookmarks");
  await expect(page.getByText("Your bookmarks did not load")).toBeVisible();
  await page.unroute("**/api/bookmarks?*");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("No bookmarks yet")).toBeVisible();

  // A list that was empty the last time is not called so while the server does not say.
  await page.getByRole("link", { name: "Timeline" }).click();
  await expect(toggleAt(ada, "One too many.")).toBeVisible();
  await page.route("**/api/bookmarks?*", (route) => route.fulfill(problem(500, { code: 799, detail: "it broke" })));
  await openBookmarks(page);
  await expect(page.getByText("Your bookmarks did not load")).toBeVisible();
  await expect(page.getByText("No bookmarks yet")).toHaveCount(0);
  await page.unroute("**/api/bookmarks?*");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("No bookmarks yet")).toBeVisible();
});

test("the page is for those who are logged in, and comes back after the log-in", async ({ stranger }) => {
  await stranger.page.goto("/bookmarks");
  await expect(stranger.page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await stranger.page.getByLabel("Username").fill("come-back");
  await stranger.page.keyboard.press("Enter");
  await expect(stranger.page.getByText("No bookmarks yet")).toBeVisible();
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`no accessibility violations, and nothing scrolls sideways, ${colorScheme}`, async ({ arrive }) => {
    const ada = await arrive("ada-with-a-long-name");
    const { page } = ada;
    await page.emulateMedia({ colorScheme });
    const [, gone] = await markDirectly(ada, 3);
    expect((await page.request.delete(`/api/tweet/${gone}`)).status()).toBe(204);
    await page.reload();
    await expect(toggleAt(ada, "Number 3.").first()).toHaveAttribute("aria-pressed", "true");
    expect(await violations(page)).toEqual([]);
    await openBookmarks(page);
    await expect(page.getByRole("article")).toHaveCount(3);
    expect(await violations(page)).toEqual([]);
    for (const width of [320, 560, 650, 900]) {
      await page.setViewportSize({ width, height: 640 });
      for (const path of ["/bookmarks", "/main"]) {
        await page.goto(path);
        await expect(page.getByRole("article").first()).toBeVisible();
        expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(width);
        // The last thing in the header ends where the row does, whatever it holds.
        const beyond = await page.locator(".header-row").evaluate((row) => {
          const end = row.getBoundingClientRect().right - parseFloat(getComputedStyle(row).paddingRight);
          return (row.lastElementChild?.getBoundingClientRect().right ?? 0) - end;
        });
        expect(beyond, `${path} at ${width} pixels`).toBeLessThan(1);
      }
    }
    for (const tweet of await page.request.get("/api/bookmarks").then((response) => response.json()).then(({ bookmarks }) => bookmarks)) {
      await page.request.delete(`/api/bookmarks/${tweet.tweet_id}`);
    }
    await page.goto("/bookmarks");
    await expect(page.getByText("No bookmarks yet")).toBeVisible();
    expect(await violations(page)).toEqual([]);
  });
}
