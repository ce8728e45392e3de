/** A server that asks for passwords. */
import { expect, test } from "./stage.ts";

test.use({ flags: ["--auth", "password"] });

test("create an account, log out, mistype, log in", async ({ stranger }) => {
  const { page } = stranger;
  await page.goto("/main");
  await expect(page.getByLabel("Password")).toBeVisible();
  await page.getByRole("link", { name: "Create an account" }).click();
  await expect(page.getByLabel("Username")).toBeFocused();
  await page.getByLabel("Username").fill("Ada");
  await page.getByLabel("Name", { exact: true }).fill("Ada Lovelace");
  await page.getByLabel("Email").fill("not an address");
  await page.getByLabel("Password").fill("short");
  await page.keyboard.press("Enter");
  await expect(page.getByText("Enter an email address")).toBeVisible();
  await expect(page.getByText("A password has at least 8 characters.")).toBeVisible();
  await page.getByLabel("Email").fill("ada@example.org");
  await page.getByLabel("Password").fill("engine number one");
  await page.getByRole("button", { name: "Create the account" }).click();
  await expect(stranger.composer).toBeVisible();
  await stranger.post("Signed up.");
  await expect(stranger.tweets("Signed up.").getByText("Committed")).toBeVisible();

  await page.goto("/logout");
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await page.getByRole("link", { name: "Log in again" }).click();
  await page.getByLabel("Username").fill("ada");
  await page.getByLabel("Password").fill("engine number two");
  await page.keyboard.press("Enter");
  await expect(page.getByText("The password is not right.")).toBeVisible();
  await page.getByLabel("Username").fill("nobody");
  await page.keyboard.press("Enter");
  await expect(page.getByText("There is no account with this name.")).toBeVisible();
  await page.getByLabel("Username").fill("ada");
  await page.getByLabel("Password").fill("engine number one");
  await page.keyboard.press("Enter");
  await expect(stranger.tweets("Signed up.")).toHaveCount(1);
});

test("a username that is taken is told at its field", async ({ stranger, expectedErrors }) => {
  expectedErrors.push(/status of 409/);
  const { page } = stranger;
  const account = { name: "Grace", email: "grace@example.org", password: "a longer password" };
  expect((await page.request.post("/api/account", { data: { ...account, username: "grace" } })).status()).toBe(201);
  await page.goto("/create");
  await page.getByLabel("Username").fill("GRACE");
  await page.getByLabel("Name", { exact: true }).fill(account.name);
  await page.getByLabel("Email").fill(account.email);
  await page.getByLabel("Password").fill(account.password);
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Username")).toHaveAccessibleDescription(/exists|taken/);
});
