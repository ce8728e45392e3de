/**
 * The states of a write that a healthy server cannot be brought into on demand: single answers are replaced on their
 * way to the app, all others come from the real server.
 */
import type { Route } from "@playwright/test";
import { expect, test } from "./stage.ts";

const problem = (status: number, body: object, headers: Record<string, string> = {}) => ({
  status,
  headers: { "Content-Type": "application/problem+json", ...headers },
  body: JSON.stringify({ type: "about:blank", title: "No", status, ...body }),
});

/** Answers the first writes itself, one per entry of the script; lets everything else through. */
function script(answers: ((route: Route) => Promise<void>)[]) {
  const keys: (string | undefined)[] = [];
  const handler = async (route: Route) => {
    if (route.request().method() === "GET") return route.fallback();
    keys.push(route.request().headers()["idempotency-key"]);
    const answer = answers.shift();
    return answer === undefined ? route.fallback() : answer(route);
  };
  return { keys, handler };
}

test("an overload is waited out, visibly, and the post goes through under the same key", async ({
  arrive,
  expectedErrors,
}) => {
  expectedErrors.push(/status of 503/);
  const ada = await arrive("ada");
  const busy = (route: Route) => route.fulfill(problem(503, { code: 715 }, { "Retry-After": "4" }));
  const { keys, handler } = script([busy, busy]);
  await ada.page.route("**/api/tweet", handler);
  await ada.post("Patience.");
  await expect(ada.tweets("Patience.").getByText(/too much to do.*Trying again in 4 s/)).toBeVisible();
  await expect(ada.tweets("Patience.").getByText("Committed")).toBeVisible({ timeout: 20_000 });
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
  expect((await ada.stored()).filter((text) => text === "Patience.")).toHaveLength(1);
});

test("an unknown outcome is followed by its transaction, across a reload, to one tweet", async ({
  arrive,
  expectedErrors,
}) => {
  expectedErrors.push(/status of 503/);
  const ada = await arrive("ada");
  let outcome = "unknown";
  await ada.page.route("**/api/transactions/*", (route) =>
    route.fulfill({ status: 200, contentType: "application/json", body: JSON.stringify({ id: "7-1042", outcome }) }),
  );
  // The write reaches the server and commits there, but its answer is lost: all repeats are answered by the server.
  const lost = async (route: Route) => {
    await route.fetch();
    await route.fulfill(problem(503, { code: 714, transaction: "7-1042" }));
  };
  const { keys, handler } = script([lost]);
  await ada.page.route("**/api/tweet", handler);
  await ada.post("Did it happen?");
  await expect(ada.page.getByRole("article", { name: "Your post, on its way" }).getByText("Unknown: asking")).toBeVisible();
  await expect(ada.page.getByText("7-1042")).toBeVisible();
  // The tweet itself turns up in a poll meanwhile, and is neither news nor shown a second time.
  await ada.page.waitForResponse((response) => response.url().includes("/api/tweet?"));
  await ada.page.waitForResponse((response) => response.url().includes("/api/tweet?"));
  await expect(ada.page.getByText("Did it happen?")).toHaveCount(1);
  await expect(ada.page.getByRole("button", { name: /new tweet/ })).toHaveCount(0);
  outcome = "committed";
  await expect(ada.tweets("Did it happen?").getByText("Committed")).toBeVisible();
  expect(new Set(keys).size).toBe(1);
  await ada.page.reload();
  await expect(ada.tweets("Did it happen?")).toHaveCount(1);
  expect((await ada.stored()).filter((text) => text === "Did it happen?")).toHaveLength(1);
});

test("a refused post says why, keeps its text, and can be worked on again", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(/status of 507/);
  const ada = await arrive("ada");
  const full = (route: Route) => route.fulfill(problem(507, { code: 717 }));
  await ada.page.route("**/api/tweet", script([full]).handler);
  await ada.post("No room.");
  const card = ada.page.getByRole("article", { name: "Your post, refused" });
  await expect(card.getByText(/memory is full/)).toBeVisible();
  await card.getByRole("button", { name: "Edit again" }).click();
  await expect(ada.composer).toBeFocused();
  await expect(ada.composer).toHaveValue("No room.");
  await expect(card).toHaveCount(0);
  await ada.page.getByRole("button", { name: "Post", exact: true }).click();
  await expect(ada.tweets("No room.").getByText("Committed")).toBeVisible();
});

test("a session that ends in the middle leads to the log-in page and back, with what was being written", async ({
  arrive,
}) => {
  const ada = await arrive("ada");
  await ada.composer.fill("Half a thou");
  expect((await ada.page.request.delete("/api/login")).status()).toBe(204);
  await expect(ada.page.getByText("Your session has ended.")).toBeVisible();
  await ada.page.getByLabel("Username").fill(ada.name);
  await ada.page.keyboard.press("Enter");
  await expect(ada.composer).toHaveValue("Half a thou");
});

test("a post without a session waits for the log-in and goes out then, once", async ({ arrive }) => {
  const ada = await arrive("ada");
  // The post is the first request after the session's end: what else the page asks for goes nowhere, from its load on.
  const others = /\/api\/(tweet|bookmarks)\?/;
  await ada.page.route(others, (route) => route.abort("aborted"));
  await ada.page.reload();
  await expect(ada.composer).toBeVisible();
  expect((await ada.page.request.delete("/api/login")).status()).toBe(204);
  await ada.post("Between two sessions.");
  await expect(ada.page.getByText("Your session has ended.")).toBeVisible();
  await ada.page.unroute(others);
  await ada.page.getByLabel("Username").fill(ada.name);
  await ada.page.keyboard.press("Enter");
  await expect(ada.tweets("Between two sessions.")).toHaveCount(1);
  await expect.poll(async () => (await ada.stored()).filter((text) => text === "Between two sessions.").length).toBe(1);
});

test("logging in as somebody else in one tab does so in the other", async ({ arrive }) => {
  const ada = await arrive("ada");
  const other = await ada.page.context().newPage();
  await other.goto("/logout");
  await other.getByRole("button", { name: "Log out", exact: true }).click();
  await expect(ada.page.getByRole("heading", { name: "Log in" })).toBeVisible();
  await other.getByRole("link", { name: "Log in again" }).click();
  await other.getByLabel("Username").fill(`not-${ada.name}`.slice(0, 32));
  await other.keyboard.press("Enter");
  await expect(ada.page.getByRole("button", { name: /^not-.*log out/ })).toBeVisible();
});

test("offline is said, and what is posted goes out when the network is back", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(/ERR_INTERNET_DISCONNECTED|icon from the Manifest.*Download error/);
  const ada = await arrive("ada");
  await ada.page.context().setOffline(true);
  await expect(ada.page.getByText("You are offline.")).toBeVisible();
  await ada.post("From the tunnel.");
  await expect(ada.tweets("From the tunnel.")).toHaveCount(1);
  await ada.page.context().setOffline(false);
  await expect(ada.page.getByText("You are offline.")).toHaveCount(0);
  await expect(ada.tweets("From the tunnel.").getByText("Committed")).toBeVisible();
});

test("a timeline that does not load says so and loads on demand", async ({ arrive, expectedErrors }) => {
  expectedErrors.push(/status of 500/);
  const ada = await arrive("ada");
  await ada.post("Behind a cloud.");
  await expect(ada.tweets("Behind a cloud.").getByText("Committed")).toBeVisible();
  await ada.page.route("**/api/tweet?*", (route) => route.fulfill(problem(500, { code: 799, detail: "it broke" })));
  await ada.page.reload();
  await expect(ada.page.getByText("The timeline did not load")).toBeVisible();
  await ada.page.unroute("**/api/tweet?*");
  await ada.page.getByRole("button", { name: "Try again" }).click();
  await expect(ada.tweets("Behind a cloud.")).toHaveCount(1);
});
