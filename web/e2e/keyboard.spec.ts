import { expect, test } from "./stage.ts";
import { tabTo } from "./tab.ts";

test("everything by keyboard alone", async ({ stranger }) => {
  const { page } = stranger;
  await page.goto("/");
  await expect(page.getByLabel("Username")).toBeFocused();
  await page.keyboard.type("key-board");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Timeline" })).toBeFocused();

  await page.keyboard.press("Tab");
  await expect(stranger.composer).toBeFocused();
  await page.keyboard.type("Typed, not clicked.");
  await page.keyboard.press("Control+Enter");
  await expect(stranger.tweets("Typed, not clicked.").getByText("Committed")).toBeVisible();
  await expect(stranger.composer).toBeFocused();

  await tabTo(page, "button", "Edit");
  await page.keyboard.press("Enter");
  await expect(page.getByLabel("Edit your tweet")).toBeFocused();
  await page.keyboard.type(" Twice.");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Edit" }).first()).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.type(" Once.");
  await page.keyboard.press("Control+Enter");
  await expect(stranger.tweets("Typed, not clicked. Once.")).toHaveCount(1);

  await tabTo(page, "button", "Delete");
  await page.keyboard.press("Space");
  await expect(page.getByRole("button", { name: "Undo" })).toBeFocused();
  await page.keyboard.press("Space");
  await expect(page.getByRole("button", { name: "Delete" }).first()).toBeFocused();

  // A deletion that goes through hands the focus on to the neighbour.
  await stranger.postDirectly("The one above.");
  await page.reload();
  await expect(stranger.tweets("The one above.")).toHaveCount(1);
  await tabTo(page, "button", "Delete");
  await page.keyboard.press("Enter");
  await expect(page.getByText("The one above.")).toHaveCount(0, { timeout: 20_000 });
  await expect(stranger.tweets("Typed, not clicked. Once.")).toBeFocused();

  // Back to the top: the first stop leads past the header.
  await page.reload();
  await expect(stranger.tweets("Typed, not clicked. Once.")).toHaveCount(1);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await tabTo(page, "link", "Cluster");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Cluster" })).toBeFocused();
  await expect(page).toHaveTitle("Cluster · Skein");

  await page.keyboard.press("Shift+Tab");
  await expect(page.getByRole("button", { name: /log out/ })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("menuitemradio", { name: "As the system" })).toBeFocused();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect(page.getByRole("button", { name: /log out/ })).toBeFocused();
  await page.keyboard.press("Enter");
  await page.keyboard.press("End");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("button", { name: "Log out", exact: true })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "You are logged out" })).toBeFocused();
});

test("whoever writes elsewhere at once after closing an edit keeps the focus", async ({ arrive }) => {
  const ada = await arrive("ada");
  await ada.post("To be edited.");
  await expect(ada.tweets("To be edited.").getByText("Committed")).toBeVisible();
  await ada.tweets("To be edited.").getByRole("button", { name: "Edit" }).click();
  // Within one frame, as a fast typist's keys may come.
  const focused = await ada.page.getByRole("button", { name: "Cancel" }).evaluate(async (cancel: HTMLElement) => {
    cancel.click();
    const composer = document.querySelector<HTMLElement>(".composer textarea");
    composer?.focus();
    for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
    return document.activeElement === composer;
  });
  await expect(ada.page.getByLabel("Edit your tweet")).toHaveCount(0);
  expect(focused).toBe(true);
});
