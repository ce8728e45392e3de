/** How the app looks and what it weighs: both themes, all widths. */
import type { Response } from "@playwright/test";
import { violations } from "./accessibility.ts";
import type { Person } from "./person.ts";
import { expect, test } from "./stage.ts";

const firstLoadBytesMax = 200_000;

/** The app's own 404 page is served with that status, as it should be. */
const ownNotFound = /status of 404 .*\/(no\/such\/page|wp-admin)/;

async function fillTimeline(person: Person): Promise<void> {
  const texts = [
    "Does anybody else name their workers after rivers?",
    "Rain over the estuary all morning, and then this light.",
    "A member left the view at noon.\nThe rest kept flying.",
    "Killed a worker with -9. Nothing happened. That was the point.",
  ];
  for (const text of texts) await person.postDirectly(text);
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`no accessibility violations, ${colorScheme}`, async ({ arrive, stranger, expectedErrors }) => {
    expectedErrors.push(ownNotFound);
    const { page: strange } = stranger;
    await strange.emulateMedia({ colorScheme });
    await strange.goto("/login");
    await expect(strange.getByRole("button", { name: "Log in" })).toBeVisible();
    await expect(strange.getByText("a name is enough")).toBeVisible();
    expect(await violations(strange)).toEqual([]);
    await strange.goto("/create");
    await strange.getByRole("button", { name: "Create the account" }).click();
    await expect(strange.getByText("Enter a username.")).toBeVisible();
    expect(await violations(strange)).toEqual([]);
    await strange.goto("/no/such/page");
    await expect(strange.getByRole("heading", { name: /strayed/ })).toBeVisible();
    expect(await violations(strange)).toEqual([]);

    const ada = await arrive("ada");
    const bob = await arrive("bob");
    const { page } = ada;
    await page.emulateMedia({ colorScheme });
    await fillTimeline(bob);
    await page.reload();
    await ada.post("Formation holds; two geese rotated out, nobody fell behind.");
    await expect(page.getByText("Committed")).toBeVisible();
    await ada.composer.fill("x".repeat(105));
    await expect(page.getByText("105 / 100")).toBeVisible();
    expect(await violations(page)).toEqual([]);
    await ada.composer.fill("Every write is one two-phase commit across all replicas, and that's ");
    await page.mouse.move(0, 0);
    const card = page.getByRole("article").filter({ hasText: "Formation holds" });
    await card.getByRole("button", { name: "Delete" }).click();
    await expect(page.getByRole("button", { name: "Undo" })).toBeVisible();
    expect(await violations(page)).toEqual([]);
    await page.getByRole("button", { name: "Undo" }).click();
    await card.getByRole("button", { name: "Edit" }).click();
    expect(await violations(page)).toEqual([]);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("link", { name: "Cluster" }).click();
    await expect(page.getByRole("article", { name: /^Member/ })).toHaveCount(3);
    await expect(page.getByText("the replicas hold the same")).toBeVisible();
    expect(await violations(page)).toEqual([]);
    await page.goto("/logout");
    await expect(page.getByRole("heading", { name: "Log out?" })).toBeVisible();
    expect(await violations(page)).toEqual([]);
  });
}

test("the theme follows the system until one is chosen, and the choice is there from the first frame", async ({
  stranger,
}) => {
  const { page } = stranger;
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/login");
  const light = await background();
  await page.emulateMedia({ colorScheme: "dark" });
  const dark = await background();
  expect(dark).not.toBe(light);
  await page.getByRole("button", { name: "Appearance" }).click();
  await page.getByRole("menuitemradio", { name: "Light" }).click();
  expect(await background()).toBe(light);
  await page.reload({ waitUntil: "commit" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  await expect(page.getByLabel("Username")).toBeVisible();
  expect(await background()).toBe(light);
});

test("nothing scrolls sideways at 320 pixels", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(ownNotFound);
  const ada = await arrive("ada");
  const { page } = ada;
  await page.setViewportSize({ width: 320, height: 640 });
  await ada.post("W".repeat(100));
  await expect(page.getByText("Committed")).toBeVisible();
  for (const path of ["/main", "/cluster", "/logout", "/no/such/page/with/a/very/long/name/that/has/no/end"]) {
    await page.goto(path);
    await expect(page.getByRole("heading", { level: 1 })).toBeAttached();
    if (path === "/main") await page.getByRole("button", { name: "Edit" }).first().click();
    if (path === "/cluster") await expect(page.getByRole("article", { name: /^Member/ })).toHaveCount(3);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(320);
  }
});

test("motion is reduced where that is asked for", async ({ arrive }) => {
  const ada = await arrive("ada");
  await ada.page.emulateMedia({ reducedMotion: "reduce" });
  await ada.post("Without a flourish.");
  await expect(ada.tweets("Without a flourish.").getByText("Committed")).toBeVisible();
  await ada.tweets("Without a flourish.").getByRole("button", { name: "Delete" }).click();
  await expect(ada.page.getByRole("button", { name: "Undo" })).toBeVisible();
  const running = () => document.getAnimations().filter((a) => Number(a.effect?.getComputedTiming().duration) > 100);
  expect(await ada.page.evaluate(`(${running.toString()})().length`)).toBe(0);
  await ada.page.getByRole("button", { name: "Undo" }).click();
});

test("the first load is under 200 kB, as it goes over the wire", async ({ stranger }) => {
  const responses: Response[] = [];
  stranger.page.on("response", (response) => {
    if (!new URL(response.url()).pathname.startsWith("/api/")) responses.push(response);
  });
  await stranger.page.goto("/login");
  await expect(stranger.page.getByRole("button", { name: "Log in" })).toBeVisible();
  await stranger.page.waitForLoadState("networkidle");
  const loaded = [...responses];
  const sizes = await Promise.all(loaded.map((response) => response.request().sizes()));
  const total = sizes.reduce((sum, size) => sum + size.responseBodySize + size.responseHeadersSize, 0);
  expect(loaded.length).toBeGreaterThanOrEqual(4);
  expect(total).toBeGreaterThan(50_000);
  expect(total).toBeLessThan(firstLoadBytesMax);
  const scripts = loaded.filter((response) => new URL(response.url()).pathname.startsWith("/assets/"));
  const encodings = await Promise.all(scripts.map((response) => response.headerValue("content-encoding")));
  expect(encodings).toContain("gzip");
});

test("unknown paths are the app's own, unknown API paths are not", async ({ stranger, expectedErrors }) => {
  expectedErrors.push(ownNotFound);
  const { page } = stranger;
  await page.goto("/wp-admin");
  await expect(page.getByRole("heading", { name: /strayed/ })).toBeVisible();
  await expect(page.getByText("/wp-admin")).toBeVisible();
  await page.getByRole("link", { name: "Back to the timeline" }).click();
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
  const response = await page.request.get("/api/no-such-thing");
  expect(response.status()).toBe(404);
  expect(response.headers()["content-type"]).toContain("application/problem+json");
});
