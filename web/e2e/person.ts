/** A person at the app, who finds things by what they are called and not by how they are built. */
import { expect, type Locator, type Page } from "@playwright/test";

export class Person {
  constructor(
    readonly page: Page,
    readonly name: string,
  ) {}

  async logIn(): Promise<void> {
    await this.page.goto("/login");
    await this.page.getByLabel("Username").fill(this.name);
    await this.page.getByRole("button", { name: "Log in" }).click();
    await expect(this.composer).toBeVisible();
  }

  get composer(): Locator {
    return this.page.getByLabel("New tweet");
  }

  async post(text: string): Promise<void> {
    await this.composer.fill(text);
    await this.page.getByRole("button", { name: "Post", exact: true }).click();
  }

  /** Posts without the app, through the API in the same session. */
  async postDirectly(text: string): Promise<void> {
    const response = await this.page.request.post("/api/tweet", { data: { text } });
    expect(response.status()).toBe(201);
  }

  /** The cards that show this text: one, unless something was shown twice. */
  tweets(text: string): Locator {
    return this.page.getByRole("article").filter({ has: this.page.getByText(text, { exact: true }) });
  }

  /** The texts of all tweets that the server has, newest first. */
  async stored(): Promise<string[]> {
    const texts: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const query: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const response = await this.page.request.get(`/api/tweet?limit=200${query}`);
      expect(response.status()).toBe(200);
      const page = (await response.json()) as { tweets: { text: string }[]; next: string | null };
      texts.push(...page.tweets.map(({ text }) => text));
      cursor = page.next;
    }
    return texts;
  }
}
