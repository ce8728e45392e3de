/**
 * What was written is kept on the device until its fate is known: the tab is closed, the browser is closed, several tabs are
 * open, somebody else logs in, the device keeps nothing. Each write takes effect once, and no text is lost.
 */
import type { BrowserContext, Page } from "@playwright/test";
import { violations } from "./accessibility.ts";
import { Person } from "./person.ts";
import { expect, test } from "./stage.ts";

const cutOff = /ERR_INTERNET_DISCONNECTED|icon from the Manifest.*Download error/;

const times = async (person: Person, text: string) => (await person.stored()).filter((stored) => stored === text).length;

/** A page that is none of the app's, at its address. It has an icon, or the browser would ask the server for one whenever it likes. */
const elsewhere = '<title>elsewhere</title><link rel="icon" href="data:,">';

/** How many posts of the browser the server has answered. Those that repeat one under its key, which does nothing, are not counted. */
function posts(context: BrowserContext): { readonly count: number } {
  const keys = new Set<string | undefined>();
  context.on("response", (response) => {
    const request = response.request();
    if (request.method() === "POST" && response.url().endsWith("/api/tweet")) keys.add(request.headers()["idempotency-key"]);
  });
  return {
    get count() {
      return keys.size;
    },
  };
}

/** How many writes the device keeps. */
const keptWrites = (page: Page) =>
  page.evaluate(() => Object.keys(localStorage).filter((name) => name.startsWith("skein.outbox.")).length);

async function noViolations(page: Page): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    // A colour on its way from one theme to the other is of neither.
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    expect(await violations(page), colorScheme).toEqual([]);
  }
}

async function secondTab(person: Person): Promise<Person> {
  const other = new Person(await person.page.context().newPage(), person.name);
  await other.page.goto("/main");
  await expect(other.composer).toBeVisible();
  return other;
}

test("posted offline, the browser closed: it goes out when the app is opened again, once", async ({ owner, expectedErrors }) => {
  expectedErrors.push(cutOff);
  const device = owner("ada");
  const before = await device.open();
  await before.logIn();
  await before.page.context().setOffline(true);
  await expect(before.page.getByText("You are offline.")).toBeVisible();
  await before.post("From under the sea.");
  await expect(before.page.getByText("Kept on this device. Goes out when you are back online.")).toBeVisible();
  await expect(before.composer).toHaveValue("");
  await noViolations(before.page);
  await device.close();

  const after = await device.open();
  await after.page.goto("/main");
  await expect(after.tweets("From under the sea.").getByText("Committed")).toBeVisible();
  expect(await times(after, "From under the sea.")).toBe(1);
  expect(await keptWrites(after.page)).toBe(0);
  await after.page.reload();
  await expect(after.tweets("From under the sea.")).toHaveCount(1);
  await expect(after.composer).toHaveValue("");
});

test("an edit and a deletion made offline go out when the app is opened again", async ({ owner, expectedErrors }) => {
  expectedErrors.push(cutOff);
  const device = owner("ada");
  const before = await device.open();
  await before.logIn();
  for (const text of ["To be edited.", "To be deleted."]) {
    await before.post(text);
    await expect(before.tweets(text).getByText("Committed")).toBeVisible();
  }
  await before.page.context().setOffline(true);
  await before.tweets("To be edited.").getByRole("button", { name: "Edit" }).click();
  await before.page.getByLabel("Edit your tweet").fill("Edited in the tunnel.");
  await before.page.getByRole("button", { name: "Save" }).click();
  await before.tweets("To be deleted.").getByRole("button", { name: "Delete" }).click();
  await expect(before.page.getByRole("button", { name: "Undo" })).toBeVisible();
  await device.close();

  const after = await device.open();
  await after.page.goto("/main");
  await expect(after.tweets("Edited in the tunnel.").getByText("· edited")).toBeVisible();
  await expect.poll(() => after.stored()).not.toContain("To be deleted.");
  expect(await times(after, "Edited in the tunnel.")).toBe(1);
  await expect.poll(() => keptWrites(after.page)).toBe(0);
});

// Browsers have Web Locks on secure origins alone; a server at a plain address of a local network is none.
for (const locks of ["with Web Locks", "without Web Locks"] as const) {
  const without = (context: BrowserContext) =>
    locks === "with Web Locks"
      ? Promise.resolve()
      : context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { get: () => undefined }));

  test(`two tabs: what was posted offline goes out from one of them, once (${locks})`, async ({ owner, expectedErrors }) => {
    expectedErrors.push(cutOff);
    const ada = await owner("ada").open();
    const context = ada.page.context();
    await without(context);
    await ada.logIn();
    const other = await secondTab(ada);
    const answered = posts(context);
    const text = `Two tabs ${locks}.`;
    await context.setOffline(true);
    await expect(ada.page.getByText("You are offline.")).toBeVisible();
    await ada.post(text);
    await expect(other.page.getByText("On its way from another tab.")).toBeVisible();
    await noViolations(other.page);
    await context.setOffline(false);
    await expect.poll(() => times(ada, text)).toBe(1);
    await expect(other.page.getByText("On its way from another tab.")).toHaveCount(0);
    await expect.poll(() => keptWrites(other.page)).toBe(0);
    expect(answered.count).toBe(1);
    expect(await times(ada, text)).toBe(1);
  });

  test(`two tabs: the one that stays sends what was posted in the one that was closed, once (${locks})`, async ({
    owner,
    expectedErrors,
  }) => {
    expectedErrors.push(cutOff);
    const ada = await owner("ada").open();
    const context = ada.page.context();
    await without(context);
    await ada.logIn();
    const other = await secondTab(ada);
    const answered = posts(context);
    await context.setOffline(true);
    await expect(ada.page.getByText("You are offline.")).toBeVisible();
    await expect(other.page.getByText("You are offline.")).toBeVisible();
    const text = `Left behind ${locks}.`;
    await ada.post(text);
    await expect(other.page.getByText("On its way from another tab.")).toBeVisible();
    await ada.page.close();
    // Without locks a tab that ended without a word is missed some seconds later.
    await expect(other.page.getByText("On its way from another tab.")).toHaveCount(0, { timeout: 30_000 });
    await expect(other.page.getByRole("article", { name: "Your post, on its way" })).toHaveCount(1);
    await context.setOffline(false);
    await expect(other.tweets(text).getByText("Committed")).toBeVisible();
    expect(answered.count).toBe(1);
    expect(await times(other, text)).toBe(1);
  });
}

test("a refused post is there with its text after the browser was closed, until it is put away", async ({ owner, expectedErrors }) => {
  expectedErrors.push(/status of 507/);
  const device = owner("ada");
  const before = await device.open();
  await before.logIn();
  const body = JSON.stringify({ type: "about:blank", title: "No", status: 507, code: 717 });
  await before.page.route("**/api/tweet", (route) =>
    route.request().method() === "POST"
      ? route.fulfill({ status: 507, contentType: "application/problem+json", body })
      : route.fallback(),
  );
  for (const text of ["No room for one.", "No room for two."]) {
    await before.post(text);
    await expect(before.tweets(text).getByText(/memory is full/)).toBeVisible();
  }
  await device.close();

  const after = await device.open();
  await after.page.goto("/main");
  const card = (text: string) => after.page.getByRole("article", { name: "Your post, refused" }).filter({ hasText: text });
  await expect(card("No room for one.").getByText(/memory is full/)).toBeVisible();
  await noViolations(after.page);
  await card("No room for one.").getByRole("button", { name: "Discard" }).click();
  await card("No room for two.").getByRole("button", { name: "Edit again" }).click();
  await expect(after.composer).toHaveValue("No room for two.");
  expect(await keptWrites(after.page)).toBe(0);
  await after.page.reload();
  await expect(after.composer).toHaveValue("No room for two.");
  await expect(after.page.getByText("No room for one.")).toHaveCount(0);
});

test("a post of which nobody remembers the outcome is not sent again: its author decides", async ({ owner, expectedErrors }) => {
  expectedErrors.push(/ERR_FAILED/);
  const device = owner("ada");
  const before = await device.open();
  await before.logIn();
  // It takes effect, and no answer ever comes back.
  let reached = 0;
  await before.page.route("**/api/tweet", async (route) => {
    if (route.request().method() !== "POST") return route.fallback();
    if (reached === 0) await route.fetch();
    reached += 1;
    // A repeat may be under way when the page is closed.
    return route.abort().catch(() => undefined);
  });
  await before.post("Long ago.");
  await expect.poll(() => reached).toBeGreaterThan(0);
  await before.page.close();

  // A day and more goes by while no tab of the app is open.
  const between = await before.page.context().newPage();
  await between.route("**/*", (route) => route.fulfill({ contentType: "text/html", body: elsewhere }));
  await between.goto("/main");
  await between.evaluate(() => {
    for (const name of Object.keys(localStorage).filter((other) => other.startsWith("skein.outbox."))) {
      const write = JSON.parse(localStorage.getItem(name) ?? "") as { atMs: number };
      localStorage.setItem(name, JSON.stringify({ ...write, atMs: write.atMs - 25 * 60 * 60 * 1000 }));
    }
  });
  const answered = posts(before.page.context());
  await between.unroute("**/*");
  await between.goto("/main");
  const after = new Person(between, before.name);
  const card = after.page.getByRole("article", { name: "Your post, unknown" });
  await expect(card.getByText(/cannot be found out any more/)).toBeVisible();
  await noViolations(after.page);
  expect(answered.count).toBe(0);
  expect(await times(after, "Long ago.")).toBe(1);
  await card.getByRole("button", { name: "Discard" }).click();
  await expect(card).toHaveCount(0);
  expect(await keptWrites(after.page)).toBe(0);
  expect(answered.count).toBe(0);
});

test("an edit of a tweet that is gone keeps its text", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(/status of 404/);
  const ada = await arrive("ada");
  await ada.post("Soon gone.");
  await expect(ada.tweets("Soon gone.").getByText("Committed")).toBeVisible();
  await ada.tweets("Soon gone.").getByRole("button", { name: "Edit" }).click();
  await ada.page.getByLabel("Edit your tweet").fill("Much better words.");
  // The list must not show that it is gone before the edit is saved.
  await ada.page.route("**/api/tweet?*", (route) => route.abort("aborted"));
  const listed = (await (await ada.page.request.get("/api/tweet?limit=200")).json()) as { tweets: { id: string; text: string }[] };
  const { id } = listed.tweets.find(({ text }) => text === "Soon gone.") ?? { id: "" };
  expect((await ada.page.request.delete(`/api/tweet/${id}`)).status()).toBe(204);
  await ada.page.getByRole("button", { name: "Save" }).click();
  const card = ada.page.getByRole("article", { name: "Your edit, refused" });
  await expect(card.getByText("Much better words.")).toBeVisible();
  await expect(card.getByText(/no longer exists/)).toBeVisible();
  await ada.page.unroute("**/api/tweet?*");
  await ada.page.reload();
  await card.getByRole("button", { name: "Use as a new tweet" }).click();
  await expect(ada.composer).toHaveValue("Much better words.");
  await expect(card).toHaveCount(0);
});

test("what is not through at log-out waits for its author, whoever logs in meanwhile", async ({ owner, expectedErrors }) => {
  expectedErrors.push(/status of 503/);
  const ada = await owner("ada").open();
  await ada.logIn();
  const body = JSON.stringify({ type: "about:blank", title: "No", status: 503, code: 716 });
  await ada.page.route("**/api/tweet", (route) =>
    route.request().method() === "POST"
      ? route.fulfill({ status: 503, contentType: "application/problem+json", headers: { "Retry-After": "20" }, body })
      : route.fallback(),
  );
  await ada.post("Mine alone.");
  await expect(ada.tweets("Mine alone.").getByText(/does not take writes/)).toBeVisible();
  await ada.page.getByRole("button", { name: /log out/ }).click();
  await ada.page.getByRole("menuitem", { name: "Log out" }).click();
  await expect(ada.page.getByText(/One of your writes is not through yet\./)).toBeVisible();
  await noViolations(ada.page);
  await ada.page.getByRole("button", { name: "Log out", exact: true }).click();
  await expect(ada.page.getByRole("heading", { name: "You are logged out" })).toBeVisible();
  await ada.page.unroute("**/api/tweet");

  const bob = new Person(ada.page, `bob-${ada.name}`.slice(0, 32));
  const answered = posts(ada.page.context());
  await bob.logIn();
  await bob.post("Bob was here.");
  await expect(bob.tweets("Bob was here.").getByText("Committed")).toBeVisible();
  await expect(bob.page.getByText("Mine alone.")).toHaveCount(0);
  expect(answered.count).toBe(1);
  await bob.page.goto("/logout");
  await bob.page.getByRole("button", { name: "Log out", exact: true }).click();
  await expect(bob.page.getByRole("heading", { name: "You are logged out" })).toBeVisible();

  await ada.logIn();
  await expect(ada.tweets("Mine alone.").getByText("Committed")).toBeVisible();
  const listed = (await (await ada.page.request.get("/api/tweet?limit=200")).json()) as { tweets: { author: string; text: string }[] };
  expect(listed.tweets.filter(({ text }) => text === "Mine alone.").map(({ author }) => author)).toEqual([ada.name]);
});

test("a tab that has not heard of it does not send one person's post in another's name", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(/status of 503/);
  const ada = await arrive("ada");
  const { page } = ada;
  // As if it slept while others came and went: no word from other tabs reaches it.
  await page.addInitScript(() =>
    Object.assign(window, {
      BroadcastChannel: class {
        postMessage() {}
        addEventListener() {}
      },
    }),
  );
  await page.reload();
  await expect(ada.composer).toBeVisible();
  const body = JSON.stringify({ type: "about:blank", title: "No", status: 503, code: 716 });
  let answers = 0;
  let busy = true;
  await page.route("**/api/tweet", (route) => {
    if (route.request().method() !== "POST" || !busy) return route.fallback();
    answers += 1;
    return route.fulfill({ status: 503, contentType: "application/problem+json", headers: { "Retry-After": "1" }, body });
  });
  await ada.post("In my name.");
  await expect.poll(() => answers).toBeGreaterThan(0);
  const name = `not-${ada.name}`.slice(0, 32);
  expect((await page.request.delete("/api/login")).status()).toBe(204);
  expect((await page.request.post("/api/login", { data: { username: name } })).status()).toBe(200);
  busy = false;
  // It finds out when it tries to send.
  await expect(page.getByRole("button", { name: new RegExp(`^${name}.*log out`) })).toBeVisible({ timeout: 20_000 });
  await expect(page.getByText("In my name.")).toHaveCount(0);
  expect(await times(ada, "In my name.")).toBe(0);
  expect(await keptWrites(page)).toBe(1);

  expect((await page.request.delete("/api/login")).status()).toBe(204);
  await ada.logIn();
  await expect(ada.tweets("In my name.").getByText("Committed")).toBeVisible();
  const listed = (await (await page.request.get("/api/tweet?limit=200")).json()) as { tweets: { author: string; text: string }[] };
  expect(listed.tweets.filter(({ text }) => text === "In my name.").map(({ author }) => author)).toEqual([ada.name]);
});

test("where the device keeps nothing, posting works, and leaving asks first while something is open", async ({ stranger }) => {
  const { page } = stranger;
  await page.addInitScript(() =>
    Object.defineProperty(window, "localStorage", {
      get: () => {
        throw new DOMException("denied", "SecurityError");
      },
    }),
  );
  await stranger.logIn();
  let answer = () => {};
  const answered = new Promise<void>((resolve) => (answer = resolve));
  await page.route("**/api/tweet", async (route) => {
    if (route.request().method() === "POST") await answered;
    return route.fallback();
  });
  await stranger.post("Not kept.");
  await expect(stranger.tweets("Not kept.").getByText(/Not kept on this device: leave this page open/)).toBeVisible();
  await noViolations(page);
  const asked = page.waitForEvent("dialog");
  await page.close({ runBeforeUnload: true });
  const dialog = await asked;
  expect(dialog.type()).toBe("beforeunload");
  await dialog.dismiss();
  answer();
  await expect(stranger.tweets("Not kept.").getByText("Committed")).toBeVisible();
  await expect(stranger.page.getByText(/Not kept on this device/)).toHaveCount(0);
  expect(await times(stranger, "Not kept.")).toBe(1);
});
