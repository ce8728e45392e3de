import { expect, test } from "./stage.ts";

test("log in, post, see, edit, delete, reload, log out, without one page load", async ({ arrive }) => {
  const ada = await arrive("ada");
  const { page } = ada;
  await page.evaluate(() => Object.assign(window, { sameDocument: true }));

  await ada.post("Formation holds.");
  await expect(ada.tweets("Formation holds.")).toHaveCount(1);
  await expect(ada.tweets("Formation holds.").getByText("Committed")).toBeVisible();
  await expect(ada.composer).toHaveValue("");

  await ada.tweets("Formation holds.").getByRole("button", { name: "Edit" }).click();
  await page.getByLabel("Edit your tweet").fill("Formation holds, still.");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(ada.tweets("Formation holds, still.").getByText("edited")).toBeVisible();
  await expect(ada.tweets("Formation holds.")).toHaveCount(0);

  await ada.post("A mistake.");
  await expect(ada.tweets("A mistake.").getByText("Committed")).toBeVisible();
  await ada.tweets("A mistake.").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(ada.tweets("A mistake.").getByRole("button", { name: "Delete" })).toBeFocused();
  await ada.tweets("A mistake.").getByRole("button", { name: "Delete" }).click();
  await expect(page.getByRole("button", { name: "Undo" })).toBeFocused();
  await expect(page.getByText("A mistake.")).toHaveCount(0, { timeout: 20_000 });
  expect(await ada.stored()).not.toContain("A mistake.");
  expect(await page.evaluate(() => "sameDocument" in window)).toBe(true);

  await page.reload();
  await expect(ada.tweets("Formation holds, still.")).toHaveCount(1);

  await page.getByRole("button", { name: /log out/ }).click();
  await page.getByRole("menuitem", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await expect(page.getByRole("heading", { name: "You are logged out" })).toBeFocused();
  expect((await page.request.get("/api/login")).status()).toBe(401);
  await page.goto("/main");
  await expect(page.getByRole("heading", { name: "Log in" })).toBeVisible();
});

test("a second person sees the first one's tweet, offered and not thrown in", async ({ arrive }) => {
  const ada = await arrive("ada");
  const bob = await arrive("bob");
  await ada.post("Is anybody there?");
  await bob.page.getByRole("button", { name: /new tweet/ }).click();
  await expect(bob.tweets("Is anybody there?")).toHaveCount(1);
  await expect(bob.tweets("Is anybody there?").getByRole("button", { name: "Edit" })).toHaveCount(0);

  await ada.tweets("Is anybody there?").getByRole("button", { name: "Edit" }).click();
  await ada.page.getByLabel("Edit your tweet").fill("Somebody is there.");
  await ada.page.getByRole("button", { name: "Save" }).click();
  await expect(bob.tweets("Somebody is there.")).toHaveCount(1);

  await ada.tweets("Somebody is there.").getByRole("button", { name: "Delete" }).click();
  await expect(bob.tweets("Somebody is there.")).toHaveCount(0, { timeout: 20_000 });
});

test("a deletion that was not undone goes out when the page is left", async ({ arrive }) => {
  const ada = await arrive("ada");
  await ada.post("Gone when I leave.");
  await expect(ada.tweets("Gone when I leave.").getByText("Committed")).toBeVisible();
  await ada.tweets("Gone when I leave.").getByRole("button", { name: "Delete" }).click();
  await ada.page.goto("about:blank");
  const elsewhere = await arrive("bob");
  await expect.poll(() => elsewhere.stored()).not.toContain("Gone when I leave.");
});

test("two tabs of one person edit the same tweet: one wins, the other is told and keeps its text", async ({
  arrive,
  expectedErrors,
}) => {
  expectedErrors.push(/status of 412/);
  const ada = await arrive("ada");
  await ada.post("First version.");
  await expect(ada.tweets("First version.").getByText("Committed")).toBeVisible();
  const other = await ada.page.context().newPage();
  await other.goto("/main");
  const card = other.getByRole("article").filter({ hasText: "First version." });
  await card.getByRole("button", { name: "Edit" }).click();

  await ada.tweets("First version.").getByRole("button", { name: "Edit" }).click();
  await ada.page.getByLabel("Edit your tweet").fill("Second version.");
  // The other tab does not see it, or it would edit the second version: it polls in vain, and no earlier poll is under way.
  expectedErrors.push(/ERR_FAILED/);
  const inVain = other.waitForEvent("requestfailed", (request) => request.url().includes("/api/tweet?"));
  await other.route("**/api/tweet?*", (route) => route.abort());
  await inVain;
  await ada.page.getByRole("button", { name: "Save" }).click();
  await expect(ada.tweets("Second version.")).toHaveCount(1);

  await other.getByLabel("Edit your tweet").fill("My version.");
  await other.getByRole("button", { name: "Save" }).click();
  await expect(other.getByText(/changed elsewhere/).first()).toBeVisible();
  await other.unroute("**/api/tweet?*");
  await other.getByRole("button", { name: "Edit again" }).click();
  await expect(other.getByLabel("Edit your tweet")).toHaveValue("My version.");
  await expect(other.getByText("Second version.")).toHaveCount(0);
  await other.getByRole("button", { name: "Cancel" }).click();
  await expect(other.getByText("Second version.")).toBeVisible();
  expect(await ada.stored()).toContain("Second version.");
});
