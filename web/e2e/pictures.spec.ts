/** Pictures of the main pages for the documents: taken of the real app, so they stay true. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Person } from "./person.ts";
import { expect, test } from "./stage.ts";

const directory = join(import.meta.dirname, "../../docs/images");
mkdirSync(directory, { recursive: true });

const conversation = [
  ["radia", "Rain over the estuary all morning, and then this light."],
  ["leslie", "Does anybody else name their workers after rivers?"],
  ["barbara", "A member left the view at noon.\nThe rest kept flying."],
  ["grace", "Killed a worker with -9. Nothing happened. That was the point."],
] as const;

for (const colorScheme of ["light", "dark"] as const) {
  test(`pictures, ${colorScheme}`, async ({ browser, skein }) => {
    const open = async (name: string) => {
      const context = await browser.newContext({ baseURL: skein.url, colorScheme, deviceScaleFactor: 2 });
      return new Person(await context.newPage(), name);
    };
    const ada = await open("ada");
    const { page } = ada;
    const picture = (name: string) =>
      page.screenshot({ path: join(directory, `${name}-${colorScheme}.png`), animations: "disabled" });

    await page.goto("/login");
    await expect(page.getByText("a name is enough")).toBeVisible();
    await picture("login");
    await ada.logIn();
    for (const text of await ada.stored()) await removeDirectly(ada, text);
    for (const [name, text] of conversation) {
      const author = await open(name);
      await author.logIn();
      for (const old of await author.stored()) await removeDirectly(author, old);
      await author.postDirectly(text);
      await author.page.context().close();
    }
    await page.reload();
    await expect(page.getByText("That was the point.")).toBeVisible();
    await ada.post("Formation holds; two geese rotated out, nobody fell behind.");
    await expect(page.getByText("Committed")).toBeVisible();
    await ada.composer.fill("Every write is one two-phase commit across all replicas, and");
    await page.mouse.move(0, 0);
    await picture("timeline");
    await page.getByRole("link", { name: "Cluster" }).click();
    await expect(page.getByText("the replicas hold the same")).toBeVisible();
    await page.mouse.move(0, 0);
    await picture("cluster");

    // The server dies; what is posted now is unknown until it is back.
    await page.getByRole("link", { name: "Timeline" }).click();
    await skein.kill();
    await ada.post("Is anybody still flying?");
    await expect(page.getByText("Unknown: asking")).toBeVisible();
    await expect(page.getByText("The server does not answer.")).toBeVisible();
    await page.mouse.move(0, 0);
    await picture("unknown");
    await skein.start();
    await expect(ada.tweets("Is anybody still flying?").getByText("Committed")).toBeVisible({ timeout: 30_000 });
    await page.context().close();
  });
}

/** Deletes one's own tweets of an earlier round. */
async function removeDirectly(person: Person, text: string): Promise<void> {
  const response = await person.page.request.get("/api/tweet?limit=200");
  const { tweets } = (await response.json()) as { tweets: { id: string; author: string; text: string }[] };
  const own = tweets.find((tweet) => tweet.text === text && tweet.author === person.name);
  if (own !== undefined) await person.page.request.delete(`/api/tweet/${own.id}`);
}
